// SPDX-License-Identifier: Apache-2.0

package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Name, Dir              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	IgnoredGoFiles, IgnoredOtherFiles  []string
	Imports                            []string
	Module                             struct{ Path, Dir string }
	DepsErrors                         []struct{ Err string }
}

// path is the package's path below the module.
func (p pkg) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
}

func listed(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,Module", "./...")
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var ps []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		ps = append(ps, p)
	}
	if len(ps) < 10 {
		t.Fatalf("go list gives %d packages: the test looks at the wrong place", len(ps))
	}
	return ps
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, p := range listed(t) {
		if isOutside(p.path()) {
			continue
		}
		if _, ok := find(p.path()); !ok {
			t.Errorf("%s has no place: add it to the table in internal/archtest/layers_test.go, and to docs/architecture.md", p.path())
			continue
		}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, p.Module.Path+"/"); ours {
				if why := refusal(p.path(), to); why != "" {
					t.Errorf("%s may not import %s: %s", p.path(), to, why)
				}
			}
			if slices.Contains(banned, i) {
				t.Errorf("%s imports %s, which nobody may", p.path(), i)
			}
		}
	}
}

func TestPurePackagesTouchNothing(t *testing.T) {
	t.Parallel()
	for _, p := range listed(t) {
		at, ok := find(p.path())
		if !ok || !at.pure {
			continue
		}
		for _, i := range p.Imports {
			if below(impure, i) && !below(allowed, i) {
				t.Errorf("%s is pure and imports %s: let its caller hand values in", p.path(), i)
			}
		}
		for _, f := range parse(t, p, p.GoFiles) {
			for _, c := range calls(f, "time", clock) {
				t.Errorf("%s: %s is pure and uses %s: time is an argument", f.at(c.Pos()), p.path(), c.Sel.Name)
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if g, ok := n.(*ast.GoStmt); ok {
					t.Errorf("%s: %s is pure and starts a goroutine", f.at(g.Pos()), p.path())
				}
				return true
			})
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	t.Parallel()
	for _, p := range listed(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		var with []string
		for _, f := range parse(t, p, p.GoFiles) {
			if f.syntax.Doc == nil {
				continue
			}
			with = append(with, f.name)
			text := f.syntax.Doc.Text()
			if p.Name != "main" && !strings.HasPrefix(text, "Package "+p.Name+" ") {
				t.Errorf("%s: the package comment begins %q, want Package %s …", f.name, firstLine(text), p.Name)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s has %d package comments %v, want one", p.path(), len(with), with)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, p := range listed(t) {
		for _, f := range parse(t, p, slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles)) {
			if !strings.HasPrefix(f.text, "// SPDX-License-Identifier: Apache-2.0\n") {
				t.Errorf("%s: the first line must be // SPDX-License-Identifier: Apache-2.0", f.name)
			}
			if n := strings.Count(f.text, "\n"); n > maxLines {
				t.Errorf("%s has %d lines, at most %d: split it by ideas", f.name, n, maxLines)
			}
			for _, d := range f.syntax.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: no init functions: build things where they are used", f.at(fn.Pos()))
				}
			}
			if strings.HasSuffix(f.name, "_test.go") {
				if f.imports("testing/synctest") {
					continue // in a bubble, sleeping is how time goes by
				}
				for _, c := range calls(f, "time", []string{"Sleep"}) {
					t.Errorf("%s: no time.Sleep in tests: wait for what you wait for, or use testing/synctest", f.at(c.Pos()))
				}
			} else if p.path() != configPath && !isOutside(p.path()) {
				for _, c := range calls(f, "os", environ) {
					t.Errorf("%s: os.%s outside of internal/config", f.at(c.Pos()), c.Sel.Name)
				}
			}
		}
	}
}

// file is a parsed file.
type file struct {
	name, text string
	fset       *token.FileSet
	syntax     *ast.File
}

func (f file) imports(path string) bool {
	return slices.ContainsFunc(f.syntax.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}

func (f file) at(p token.Pos) string {
	pos := f.fset.Position(p)
	pos.Filename = f.name
	return pos.String()
}

func parse(t *testing.T, p pkg, names []string) []file {
	t.Helper()
	var out []file
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed since it was listed
		}
		if err != nil {
			t.Fatal(err)
		}
		f := file{name: filepath.Join(p.path(), name), text: string(text), fset: token.NewFileSet()}
		if f.syntax, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		out = append(out, f)
	}
	return out
}

// calls are the uses of functions of a package of the standard library, called or not.
func calls(f file, library string, functions []string) []*ast.SelectorExpr {
	name := library
	for _, i := range f.syntax.Imports {
		if i.Path.Value == `"`+library+`"` && i.Name != nil {
			name = i.Name.Name
		}
	}
	var out []*ast.SelectorExpr
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == name && slices.Contains(functions, s.Sel.Name) {
			out = append(out, s)
		}
		return true
	})
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
