// SPDX-License-Identifier: Apache-2.0

package blueprintfile

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"microstax/internal/fault"
)

// Source knows where in a file each part of a Blueprint was written. Paths are those of blueprint.Validate, like
// services[1].ports[0].protocol; services written as a map are counted in the order of the file.
type Source struct {
	file  string
	lines [][]byte
	width []int // of each line, in characters
	at    map[string]position
}

type position struct{ line, column int }

func newSource(file string, data []byte) *Source {
	s := &Source{file: file, lines: bytes.Split(data, []byte("\n")), at: map[string]position{}}
	for _, l := range s.lines {
		s.width = append(s.width, utf8.RuneCount(bytes.TrimSuffix(l, []byte("\r"))))
	}
	return s
}

// At is where the path was written, or else the nearest thing around it; lines and columns count from 1, columns in
// characters. It always lies within the file.
func (s *Source) At(path string) (line, column int) {
	for {
		if p, ok := s.at[path]; ok {
			return p.line, p.column
		}
		if path == "" {
			return 1, 1
		}
		path = parent(path)
	}
}

// Place gives a place of package blueprint its file and position.
func (s *Source) Place(p fault.Place) fault.Place {
	p.File = s.file
	p.Line, p.Column = s.At(p.Path)
	return p
}

func (s *Source) set(path string, line, column int) {
	line, column = s.clamp(line, column)
	s.at[path] = position{line, column}
}

// clamp keeps a position within the file: YAML also ends lines where no editor does, and reports the end of the text as a
// line after the last.
func (s *Source) clamp(line, column int) (int, int) {
	line = max(1, line)
	if line > len(s.lines) {
		line, column = len(s.lines), s.width[len(s.lines)-1]+1
	}
	for line > 1 && len(s.lines[line-1]) == 0 && line == len(s.lines) {
		line-- // the empty rest after the last line break
		column = s.width[line-1] + 1
	}
	return line, min(max(1, column), s.width[line-1]+1)
}

func (s *Source) byteAt(line, column int) byte {
	if line < 1 || line > len(s.lines) || column < 1 || column > len(s.lines[line-1]) {
		return 0
	}
	return s.lines[line-1][column-1]
}

// parent takes the last part off a path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// unreadable finds the first byte that cannot stand in a text, and says why.
func unreadable(data []byte) (line, column int, wrong string) {
	line, column = 1, 1
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return line, column, "the file is not UTF-8 text: save it as UTF-8"
		case r == '\n':
			line, column = line+1, 0
		case r == '\t' || r == '\r' || r == 0x85:
		case r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0xfffe || r == 0xffff:
			return line, column, "there is a control character here, which YAML does not allow: take it out"
		}
		column++
		i += n
	}
	return 0, 0, ""
}
