// SPDX-License-Identifier: Apache-2.0

package canon_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"microstax/internal/engine/canon"
)

// valid is what another reader of JSON says of a document; the limits are ours.
func valid(data []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewBuffer(bytes.TrimPrefix(bytes.Clone(data), []byte("\xef\xbb\xbf"))))
	if _, err := dec.ReadValue(); err != nil {
		return false
	}
	_, err := dec.ReadToken()
	return errors.Is(err, io.EOF)
}

// FuzzParse checks that exactly the documents are read that another reader reads, and that what was read is all there.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+7,true,false,null,"x\n\u0041\ud83d\ude00"]}`, `[01]`, `[1.]`, `[-]`, `[1e]`, `{"a":1,"a":2}`, `["\ud800"]`, `[1 2]`,
		`{"a" 1}`, `[tru]`, " \t\r\n{}", `"`, `[`, `{`, `{"a"`, `{"a":`, `[1,]`, `{,}`, "\xef\xbb\xbf1", "\"\x7f\"", `nullx`, `"\u00"`, `"\ud83d\u0041"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := canon.Limits{Nodes: 1 << 20, Depth: 1 << 20}
		tree, err := canon.Parse(data, l)
		if (err == nil) != valid(data) {
			if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) > 9999 {
				return // the other reader has a limit of its own
			}
			t.Fatalf("%q: %v, want valid %v", data, err, valid(data))
		}
		if err != nil {
			return
		}
		if !canon.EqualNodes(tree, 0, tree, 0) || int(tree.Next(0)) != tree.Len() {
			t.Fatalf("%q: an ill-formed tree", data)
		}
		pairs, ok := canon.Lockstep(data, data, l)
		if ok && len(pairs) > 0 {
			t.Fatalf("%q differs from itself", data)
		}
	})
}
