// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// What follows reads JSON's grammar (RFC 8259) from a slice that is known to be valid UTF-8: each function takes where a
// thing starts and gives where it ends, or an error.

var (
	errSyntax  = errors.New("syntax error")
	errControl = errors.New("control character in a string")
	errEscape  = errors.New("invalid escape in a string")
)

// space is where the white space that starts at i ends.
func space(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\n' || src[i] == '\r' || src[i] == '\t') {
		i++
	}
	return i
}

// plainEnd is the first byte from i on that is a quote, a backslash or a control character, or the end of src.
func plainEnd(src []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(src); i += 8 {
		// In each byte the top bit is set where it is one of those; above the first such byte it may be wrong.
		x := binary.LittleEndian.Uint64(src[i:])
		quote, slash := x^('"'*ones), x^('\\'*ones)
		if m := ((x-' '*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(src) && src[i] != '"' && src[i] != '\\' && src[i] >= ' ' {
		i++
	}
	return i
}

// stringEnd reads a string whose opening quote is at i, and says whether it has escapes.
func stringEnd(src []byte, i int) (end int, escaped bool, err error) {
	for i = plainEnd(src, i+1); ; i = plainEnd(src, i) {
		switch {
		case i >= len(src):
			return 0, false, io.ErrUnexpectedEOF
		case src[i] == '"':
			return i + 1, escaped, nil
		case src[i] < ' ':
			return 0, false, errControl
		}
		escaped = true
		if i, err = escapeEnd(src, i); err != nil {
			return 0, false, err
		}
	}
}

// escapeEnd reads an escape whose backslash is at i. A surrogate must have its partner.
func escapeEnd(src []byte, i int) (int, error) {
	if i+1 >= len(src) {
		return 0, io.ErrUnexpectedEOF
	}
	switch src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
		r := hex4(src, i+2)
		switch {
		case r < 0, r >= 0xdc00 && r < 0xe000:
			return 0, errEscape
		case r < 0xd800 || r >= 0xe000:
			return i + 6, nil
		}
		if low := hex4(src, i+8); i+7 < len(src) && src[i+6] == '\\' && src[i+7] == 'u' && low >= 0xdc00 && low < 0xe000 {
			return i + 12, nil
		}
	}
	return 0, errEscape
}

// hex4 is the value of four hex digits at i, or -1.
func hex4(src []byte, i int) int {
	if i+4 > len(src) {
		return -1
	}
	r := 0
	for _, c := range src[i : i+4] {
		d := Unhex(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | d
	}
	return r
}

// numberEnd reads a number that starts at i with a sign or a digit.
func numberEnd(src []byte, i int) (int, error) {
	digits := func() bool {
		from := i
		for i < len(src) && src[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	if src[i] == '-' {
		i++
	}
	if i < len(src) && src[i] == '0' {
		i++
	} else if !digits() {
		return 0, cutOr(src, i)
	}
	if i < len(src) && src[i] == '.' {
		i++
		if !digits() {
			return 0, cutOr(src, i)
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		if !digits() {
			return 0, cutOr(src, i)
		}
	}
	return i, nil
}

// cutOr tells an early end from what is wrong at i.
func cutOr(src []byte, i int) error {
	if i >= len(src) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w at byte %d", errSyntax, i)
}

// literal is the word that starts with c.
func literal(c byte) (string, Type) {
	switch c {
	case 't':
		return "true", Bool
	case 'f':
		return "false", Bool
	case 'n':
		return "null", Null
	}
	return "", Null
}

// scalarEnd reads a scalar that starts at i.
func scalarEnd(src []byte, i int) (int, error) {
	switch c := src[i]; {
	case c == '"':
		end, _, err := stringEnd(src, i)
		return end, err
	case c == '-' || c-'0' <= 9:
		return numberEnd(src, i)
	default:
		end, _, err := literalEnd(src, i)
		return end, err
	}
}

func literalEnd(src []byte, i int) (int, Type, error) {
	word, typ := literal(src[i])
	if word == "" {
		return 0, 0, cutOr(src, i)
	}
	for k := range len(word) {
		if i+k >= len(src) || src[i+k] != word[k] {
			return 0, 0, cutOr(src, i+k)
		}
	}
	return i + len(word), typ, nil
}

// valueEnd reads any value that starts at i, nested at most depth deep. Names that occur twice are not looked for.
func valueEnd(src []byte, i, depth int) (int, error) {
	var room [64]byte
	open := room[:0] // the brackets that would close what is open
	for {
		var err error
		if i, err = valueStart(src, i, &open, depth); err != nil {
			return 0, err
		}
		for len(open) > 0 { // after a value, or at the end of an empty container
			i = space(src, i)
			if i >= len(src) {
				return 0, io.ErrUnexpectedEOF
			}
			last := len(open) - 1
			if src[i] == open[last] {
				open = open[:last]
				i++
				continue
			}
			if src[i] != ',' {
				return 0, cutOr(src, i)
			}
			if i = space(src, i+1); open[last] == '}' {
				if i, err = nameEnd(src, i); err != nil {
					return 0, err
				}
			}
			break
		}
		if len(open) == 0 {
			return i, nil
		}
	}
}

// valueStart reads a scalar, or opens containers down to the first scalar or an empty container.
func valueStart(src []byte, i int, open *[]byte, depth int) (int, error) {
	for {
		if i >= len(src) {
			return 0, io.ErrUnexpectedEOF
		}
		c := src[i]
		if c != '{' && c != '[' {
			return scalarEnd(src, i)
		}
		if len(*open) >= depth {
			return 0, fmt.Errorf("nested more than %d deep", depth)
		}
		*open = append(*open, c+2)
		i = space(src, i+1)
		if i < len(src) && src[i] == c+2 {
			return i, nil
		}
		if c == '{' {
			var err error
			if i, err = nameEnd(src, i); err != nil {
				return 0, err
			}
		}
	}
}

// nameEnd reads a member's name that starts at i, its colon, and the white space behind it.
func nameEnd(src []byte, i int) (int, error) {
	if i >= len(src) || src[i] != '"' {
		return 0, cutOr(src, i)
	}
	i, _, err := stringEnd(src, i)
	if err != nil {
		return 0, err
	}
	if i = space(src, i); i >= len(src) || src[i] != ':' {
		return 0, cutOr(src, i)
	}
	return space(src, i+1), nil
}
