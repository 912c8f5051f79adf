// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"

	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// The thresholds with which opendiffy/diffy comes (Settings.scala), in per cent; and after how many requests to an endpoint
// somebody is taken to look at it.
const (
	diffyRelative = 20.0
	diffyAbsolute = 0.03
	diffyFirst    = 100
)

// rival is Diffy's rule on the same observations: for each endpoint and field, the number of requests in which primary and
// candidate differ (raw), and in which primary and secondary do (noise).
type rival struct {
	total  map[string]float64
	fields map[string]map[string]*rawNoise
	// ever are the fields that it showed at any time after the first requests to an endpoint, as somebody who watches sees.
	ever map[string]bool
}

type rawNoise struct{ raw, noise float64 }

func newRival() *rival {
	return &rival{total: map[string]float64{}, fields: map[string]map[string]*rawNoise{}, ever: map[string]bool{}}
}

// shows is the rule of JoinedDifferences.scala.
func (f *rawNoise) shows(total float64) bool {
	delta := math.Abs(f.raw - f.noise)
	return f.raw > f.noise && delta/(f.raw+f.noise)*100 > diffyRelative && delta/total*100 > diffyAbsolute
}

// observe counts one request, and says whether the watched field of its endpoint is shown now.
func (d *rival) observe(o *observation.Observation, watched string) bool {
	ep := o.Service + " " + o.Baseline.Request.Method + " " + o.Baseline.Request.Target
	d.total[ep]++
	all := d.fields[ep]
	if all == nil {
		all = map[string]*rawNoise{}
		d.fields[ep] = all
	}
	add := func(other *exchange.Exchange, count func(*rawNoise)) {
		for _, path := range diffyFields(&o.Baseline, other) {
			if all[path] == nil {
				all[path] = &rawNoise{}
			}
			count(all[path])
		}
	}
	add(&o.Candidate, func(f *rawNoise) { f.raw++ })
	if o.Control != nil {
		add(o.Control, func(f *rawNoise) { f.noise++ })
	}
	n := d.total[ep]
	for path, f := range all {
		if n >= diffyFirst && f.shows(n) {
			d.ever[ep+" "+path] = true
		}
	}
	f := all[watched]
	return f != nil && f.shows(n)
}

// shown are the fields that it shows now.
func (d *rival) shown() []string {
	var out []string
	for ep, fields := range d.fields {
		for path, f := range fields {
			if f.shows(d.total[ep]) {
				out = append(out, ep+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

// diffyFields are the paths at which two answers differ, as Difference.scala has them: values by member and index, arrays
// with the same elements in another order, and arrays of another length as one difference each.
func diffyFields(a, b *exchange.Exchange) []string {
	var out []string
	if a.Response.Status != b.Response.Status {
		out = append(out, "status")
	}
	x, y := a.Response.Body.Data, b.Response.Body.Data
	if string(x) == string(y) {
		return out
	}
	var va, vb any
	if json.Unmarshal(x, &va) != nil || json.Unmarshal(y, &vb) != nil {
		return append(out, "body")
	}
	diffyWalk("body", va, vb, &out)
	return slices.Compact(out)
}

func diffyWalk(path string, a, b any, out *[]string) {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			*out = append(*out, path+" (type)")
			return
		}
		for name, v := range x {
			if w, there := y[name]; there {
				diffyWalk(path+"."+name, v, w, out)
			} else {
				*out = append(*out, path+"."+name+" (missing)")
			}
		}
		for name := range y {
			if _, there := x[name]; !there {
				*out = append(*out, path+"."+name+" (extra)")
			}
		}
	case []any:
		y, ok := b.([]any)
		if !ok {
			*out = append(*out, path+" (type)")
			return
		}
		diffyArray(path, x, y, out)
	default:
		switch {
		case reflect.TypeOf(a) != reflect.TypeOf(b):
			*out = append(*out, path+" (type)")
		case a != b:
			*out = append(*out, path)
		}
	}
}

func diffyArray(path string, x, y []any, out *[]string) {
	switch {
	case len(x) != len(y):
		*out = append(*out, path+" (size)")
	case reflect.DeepEqual(x, y):
	case sameElements(x, y):
		*out = append(*out, path+" (order)")
	default:
		for i := range x {
			diffyWalk(path+"["+strconv.Itoa(i)+"]", x[i], y[i], out)
		}
	}
}

func sameElements(x, y []any) bool {
	count := map[string]int{}
	for i := range x {
		count[fmt.Sprint(x[i])]++
		count[fmt.Sprint(y[i])]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
