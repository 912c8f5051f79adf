// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"slices"
	"strings"
)

// maxNameCompared bounds the quadratic cost of a distance; nothing that a Blueprint names is longer.
const maxNameCompared = 128

// Nearest is the entry of known that name was most likely meant to be, and false when none is near. Case, dashes and
// underscores count for nothing, so that container_port finds containerPort; otherwise up to two typing errors, or a third
// of the name where that is more. Ties go to the entry that sorts first.
func Nearest(name string, known []string) (string, bool) {
	best, at := "", 0
	for _, k := range slices.Sorted(slices.Values(known)) {
		a, b := fold(name), fold(k)
		d := Distance(a, b)
		if d > max(2, len(b)/3) || d >= max(len(a), len(b)) {
			continue
		}
		if best == "" || d < at {
			best, at = k, d
		}
	}
	return best, best != ""
}

func fold(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
}

// Distance counts the typing errors between two names: a letter too many, too few or wrong, or two exchanged. Names longer
// than 128 bytes are cut.
func Distance(a, b string) int {
	a, b = a[:min(len(a), maxNameCompared)], b[:min(len(b), maxNameCompared)]
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// meant is "; did you mean x?", or else the choices there are.
func meant(name string, known []string) string {
	if near, ok := Nearest(name, known); ok {
		return "; did you mean " + near + "?"
	}
	if len(known) == 0 {
		return ""
	}
	const shown = 12
	list := slices.Sorted(slices.Values(known))
	if len(list) > shown {
		return "; there are " + strings.Join(list[:shown], ", ") + ", …"
	}
	return "; there are " + strings.Join(list, ", ")
}
