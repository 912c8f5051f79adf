// SPDX-License-Identifier: Apache-2.0

package blueprintfile

import (
	"errors"
	"strings"
)

// word is one part of a command; bare is true when no part of it was quoted or escaped.
type word struct {
	text string
	bare bool
}

// split cuts a command as a POSIX shell would: at white space, with '…' literal, "…" in which a backslash escapes ", \ and
// the end of a line, and a backslash before anything outside of quotes. Variables are not replaced, and nothing is run.
func split(s string) ([]word, error) {
	var words []word
	var at strings.Builder
	open, bare := false, true
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if open {
				words = append(words, word{at.String(), bare})
				at.Reset()
				open, bare = false, true
			}
			continue
		case r == '\\':
			if i++; i == len(runes) {
				return nil, errors.New("it ends in a backslash")
			}
			bare = false
			if runes[i] == '\n' {
				continue
			}
			at.WriteRune(runes[i])
		case r == '\'' || r == '"':
			end, err := quoted(&at, runes, i)
			if err != nil {
				return nil, err
			}
			i, bare = end, false
		default:
			at.WriteRune(r)
		}
		open = true
	}
	if open {
		words = append(words, word{at.String(), bare})
	}
	return words, nil
}

// quoted writes what stands between the quote at start and its partner, and gives the partner's place.
func quoted(out *strings.Builder, runes []rune, start int) (int, error) {
	mark := runes[start]
	for i := start + 1; i < len(runes); i++ {
		switch {
		case runes[i] == mark:
			return i, nil
		case mark == '"' && runes[i] == '\\' && i+1 < len(runes) && strings.ContainsRune("\"\\$`\n", runes[i+1]):
			i++
			if runes[i] != '\n' {
				out.WriteRune(runes[i])
			}
		default:
			out.WriteRune(runes[i])
		}
	}
	return 0, errors.New("a quote " + string(mark) + " is opened and never closed")
}

// isOperator is true of words that mean something to a shell alone.
func isOperator(s string) bool {
	switch s {
	case "&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1", "|&":
		return true
	}
	return strings.HasSuffix(s, ";")
}

func texts(words []word) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, w.text)
	}
	return out
}
