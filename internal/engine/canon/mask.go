// SPDX-License-Identifier: Apache-2.0

package canon

import "strings"

// wordByte says whether c may stand inside a value such as a timestamp, an id or a number within text.
func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == ':' ||
		c == '.' || c == '+' || c >= 0x80
}

// Mask writes text with every time, id, token and number in it replaced by its class, so that two texts which differ only
// in such values become equal.
func Mask(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && wordByte(s[j]) {
			j++
		}
		if j == i {
			b.WriteByte(s[i])
			i++
			continue
		}
		maskWord(&b, s[i:j])
		i = j
	}
	return b.String()
}

// maskWord writes one run of word bytes, punctuation at its ends untouched.
func maskWord(b *strings.Builder, w string) {
	core := strings.Trim(w, ".:-+_")
	if core == "" {
		b.WriteString(w)
		return
	}
	at := strings.Index(w, core)
	b.WriteString(w[:at])
	if m := wordModel(core); m != "" {
		b.WriteString(m)
	} else {
		maskParts(b, core)
	}
	b.WriteString(w[at+len(core):])
}

// maskParts masks a compound like a:5432.x1 piece by piece; digits in what is left become one mark.
func maskParts(b *strings.Builder, w string) {
	for len(w) > 0 {
		i := strings.IndexAny(w, ".:-+_")
		part, sep := w, ""
		if i >= 0 {
			part, sep, w = w[:i], w[i:i+1], w[i+1:]
		} else {
			w = ""
		}
		if m := wordModel(part); m != "" {
			b.WriteString(m)
		} else {
			maskDigits(b, part)
		}
		b.WriteString(sep)
	}
}

func maskDigits(b *strings.Builder, part string) {
	run := false
	for k := 0; k < len(part); k++ {
		digit := part[k] >= '0' && part[k] <= '9'
		if !digit {
			b.WriteByte(part[k])
		} else if !run {
			b.WriteByte('#')
		}
		run = digit
	}
}

// wordModel is the mark that stands for a volatile word, or "".
func wordModel(w string) string {
	if w == "" {
		return ""
	}
	if len(w) >= 8 && isHex(w) {
		if c := count(w); c.digit > 0 && c.lower+c.upper > 0 {
			return "{token}"
		}
	}
	if len(w) < 2 && (w[0] < '0' || w[0] > '9') {
		return ""
	}
	switch m := Model(Class(w)); m {
	case "", ClassURL, ClassIP:
		return ""
	case "number":
		return "#"
	default:
		return "{" + m + "}"
	}
}
