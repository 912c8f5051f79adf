// SPDX-License-Identifier: Apache-2.0

package blueprintfile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/blueprint"
	"microstax/internal/blueprintfile"
	"microstax/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got); run with -update if it is meant:\n%s", file, d)
	}
}

// Every folder of testdata is a case: in.yaml, the complaints in out.txt, and the Blueprint in out.json where it is usable.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*/in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, in := range inputs {
		dir := filepath.Dir(in)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(in)
			if err != nil {
				t.Fatal(err)
			}
			mode, known := blueprint.Mode(""), []string(nil)
			if strings.HasPrefix(filepath.Base(dir), "overlay") {
				mode, known = blueprint.Overlay, []string{"api", "orders", "payments"}
			}
			b, places := blueprintfile.Check(data, "in.yaml", "/srv/shop", mode, known)
			within(t, data, places)
			var out strings.Builder
			for _, p := range places {
				fmt.Fprintf(&out, "%s (%s)\n", p, p.Path)
			}
			golden(t, filepath.Join(dir, "out.txt"), out.String())
			if !blueprintfile.OK(places) {
				return
			}
			text, err := json.MarshalIndent(blueprint.Normalize(b), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "out.json"), string(text)+"\n")
		})
	}
}

// within fails when a place lies outside of the file, or the places are not in order.
func within(t *testing.T, data []byte, places []fault.Place) {
	t.Helper()
	lines := bytes.Split(data, []byte("\n"))
	for i, p := range places {
		if p.Line < 1 || p.Line > len(lines) {
			t.Fatalf("%s is on a line of %d", p, len(lines))
		}
		if p.Column < 1 || p.Column > utf8.RuneCount(lines[p.Line-1])+1 {
			t.Fatalf("%s is in a column beyond the %d of its line", p, utf8.RuneCount(lines[p.Line-1]))
		}
		if p.Rule == "" || p.Message == "" {
			t.Fatalf("%+v says nothing", p)
		}
		if i > 0 && (places[i-1].Line > p.Line || places[i-1].Line == p.Line && places[i-1].Column > p.Column) {
			t.Fatalf("%s comes before %s", places[i-1], p)
		}
	}
}

func TestSourceKnowsWhereThingsAre(t *testing.T) {
	t.Parallel()
	text := "name: shop\nservices:\n  api:\n    command: [a, b]\n    env: {LOG: info}\n"
	_, src, places := blueprintfile.Parse([]byte(text), "f.yaml", "/d")
	if len(places) != 0 {
		t.Fatalf("complaints: %v", places)
	}
	for path, want := range map[string]string{
		"name": "1:7", "services": "2:1", "services[0]": "3:3", "services[0].name": "3:3", "services[0].command[1]": "4:18",
		"services[0].env.LOG": "5:16", "services[0].workdir": "3:3", "services[7].x.y[3]": "2:1", "": "1:1", "nothing": "1:1",
	} {
		line, column := src.At(path)
		if got := fmt.Sprintf("%d:%d", line, column); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
	if p := src.Place(fault.Place{Path: "name", Rule: "x", Message: "m"}); p.String() != "f.yaml:1:7: m [x]" {
		t.Errorf("got %s", p)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	laughs := "name: shop\nservices:\n  - name: api\n    command: [&w " + long + strings.Repeat(", *w", 1000) + "]\n"
	tests := []struct{ name, text, rule string }{
		{"too long", "name: shop #" + strings.Repeat("x", blueprintfile.MaxBytes), blueprint.RuleTooLarge},
		{"too deep", "name: " + strings.Repeat("[", 20_000), blueprint.RuleTooLarge},
		{"too much by aliases", laughs, blueprint.RuleTooLarge},
		{"not UTF-8", "name: shop\nservices: \xff", blueprint.RuleSyntax},
		{"UTF-16", "\xff\xfen\x00a\x00", blueprint.RuleSyntax},
		{"a control character", "name: \"a\x00\"", blueprint.RuleSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, places := blueprintfile.Check([]byte(tt.text), "f", "/d", "", nil)
			within(t, []byte(tt.text), places)
			if len(places) != 1 || places[0].Rule != tt.rule {
				t.Errorf("got %v, want one complaint of rule %s", places, tt.rule)
			}
		})
	}
	var many strings.Builder
	many.WriteString("name: shop\nservices: [{name: api, command: x}]\n")
	for i := range 5000 {
		fmt.Fprintf(&many, "k%d: 1\n", i)
	}
	_, places := blueprintfile.Check([]byte(many.String()), "f", "/d", "", nil)
	if len(places) != 201 || places[200].Rule != blueprint.RuleTooLarge {
		t.Errorf("%d complaints, want 200 and one that says there are more", len(places))
	}
}

func TestBaseDir(t *testing.T) {
	t.Parallel()
	text := []byte("name: shop\nservices:\n  a: {command: ./a}\n  b: {command: ./b, workdir: x}\n  c: {address: \"h:1\"}\n")
	b, _, places := blueprintfile.Parse(text, "", "/d")
	if len(places) != 0 || b.Services[0].Workdir != "/d" || !b.Services[0].WorkdirImplied || b.Services[1].Workdir != "/d/x" || b.Services[1].WorkdirImplied || b.Services[2].Workdir != "" {
		t.Errorf("got %+v, %v", b.Services, places)
	}
	if _, _, places := blueprintfile.Parse(text, "", ""); len(places) != 1 || places[0].Path != "services[1].workdir" {
		t.Errorf("without a folder: got %v", places)
	}
	if _, _, places := blueprintfile.Parse(text, "", "rel"); len(places) != 1 || places[0].Rule != blueprint.RuleBadPath {
		t.Errorf("from a relative folder: got %v", places)
	}
	if b, _, places := blueprintfile.Parse([]byte("name: s\r\nservices: \r\n  a: {command: x}\r\n"), "", "/d"); len(places) != 0 || b.Name != "s" {
		t.Errorf("with CRLF: got %+v, %v", b, places)
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	warning := fault.Place{Rule: "r", Message: "w", Warning: true}
	if err := blueprintfile.Refuse("create", "f", []fault.Place{warning}); err != nil {
		t.Errorf("a warning refuses: %v", err)
	}
	err := blueprintfile.Refuse("create baseline", "f.yaml", []fault.Place{warning, {Rule: "r", Message: "e"}, {Rule: "r", Message: "e2"}})
	if !fault.Is(err, fault.Invalid) || err.Error() != "create baseline: f.yaml is wrong in 2 places" || len(fault.PlacesOf(err)) != 3 {
		t.Errorf("got %v with %v", err, fault.PlacesOf(err))
	}
}

// Whatever the bytes, reading ends without a panic, and every complaint lies within the file.
func FuzzParse(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*/in.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, in := range inputs {
		if strings.Contains(in, "billion") { // as slow as a document can be, and so is everything grown from it
			continue
		}
		data, err := os.ReadFile(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("name: x\rservices:\u2028 [\u0085"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, mode := range []blueprint.Mode{blueprint.Isolated, blueprint.Overlay} {
			b, places := blueprintfile.Check(data, "f.yaml", "/base", mode, nil)
			within(t, data, places)
			if !blueprintfile.OK(places) {
				continue
			}
			n := blueprint.Normalize(b)
			if d := blueprint.Digest(b); d != blueprint.Digest(n) {
				t.Fatalf("the digest %s is not that of the normal form", d)
			}
			if d := blueprint.Changes(n.Services[0], n.Services[0]); len(d) != 0 {
				t.Fatalf("a service differs from itself in %v", d)
			}
		}
	})
}
