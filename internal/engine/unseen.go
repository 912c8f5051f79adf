// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"errors"
	"slices"

	"microstax/internal/engine/stats"
)

// cell is a kind of traffic for the question what has never been compared: an endpoint and how the baseline answers.
type cell struct {
	Endpoint int `json:"e"`
	Status   int `json:"s"`
}

// maxCells bounds how many kinds are told apart; more are no news.
const maxCells = 8_192

// unseen knows which kinds of traffic were compared, and how often a user session brought a new one.
type unseen struct {
	cells map[cell]bool
	rate  stats.Unseen
}

// observe counts a request of a user session. A session is news once, whatever it meets.
func (n *unseen) observe(c cell, isNew bool, told *bool) {
	if isNew {
		n.rate.Add()
	}
	if n.cells[c] || len(n.cells) >= maxCells {
		return
	}
	n.cells[c] = true
	if !*told {
		*told = true
		n.rate.More()
	}
}

// fold makes the kinds of endpoint i those of endpoint j.
func (n *unseen) fold(i, j int) {
	for c := range n.cells {
		if c.Endpoint == i {
			delete(n.cells, c)
			n.cells[cell{j, c.Status}] = true
		}
	}
}

// merge takes in what a part has seen, as the whole numbers it. The bound of any part holds for the whole, which has seen
// more; that of the part with the most sessions is the tightest.
func (n *unseen) merge(o *unseen, endpoints []int) {
	for c := range o.cells {
		n.cells[cell{endpoints[c.Endpoint], c.Status}] = true
	}
	if cmp.Or(cmp.Compare(n.rate.Sessions, o.rate.Sessions), cmp.Compare(o.rate.News, n.rate.News), slices.Compare(o.rate.Starts, n.rate.Starts)) < 0 {
		n.rate = o.rate
	}
}

// restore takes back what a state holds.
func (n *unseen) restore(s state, endpoints int) error {
	for _, c := range s.Cells {
		if c.Endpoint < 0 || c.Endpoint >= endpoints {
			return errors.New("a kind of request belongs to no endpoint")
		}
		n.cells[c] = true
	}
	n.rate = s.Unseen
	if !n.rate.Valid() {
		return errors.New("what is unseen is damaged")
	}
	return nil
}

// list are the kinds, in order.
func (n *unseen) list() []cell {
	out := make([]cell, 0, len(n.cells))
	for c := range n.cells {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y cell) int {
		return cmp.Or(cmp.Compare(x.Endpoint, y.Endpoint), cmp.Compare(x.Status, y.Status))
	})
	return out
}
