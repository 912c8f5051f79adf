// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "microstax/api/v1"
	"microstax/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

func forms() map[string]func(api.Report) string {
	return map[string]func(api.Report) string{
		"report.md": report.Markdown, "report.html": report.HTML, "report.xml": report.JUnit,
		"report.txt":        func(r api.Report) string { return report.Text(r, report.Options{}) },
		"report.narrow.txt": func(r api.Report) string { return report.Text(r, report.Options{Width: 60}) },
		"report.color.txt":  func(r api.Report) string { return report.Text(r, report.Options{Color: true, Width: 120}) },
	}
}

// Each folder of testdata holds report.json and what becomes of it.
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/*/report.json")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			t.Parallel()
			r := read(t, path)
			for name, form := range forms() {
				golden := filepath.Join(filepath.Dir(path), name)
				got := form(r)
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					continue
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s: run go test ./internal/report -update and look at the difference\n--- got\n%s\n--- want\n%s", golden, got, want)
				}
			}
		})
	}
}

func read(t *testing.T, path string) api.Report {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r api.Report
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever the traffic holds must come out as text, in every form.
func TestHostileValuesStayText(t *testing.T) {
	t.Parallel()
	const evil = "<script>alert(1)</script>\x1b[31m`|[x](http://e.example)\x00\xff\n# \"&'"
	r := api.Report{
		EnvironmentID: evil, Verdict: api.Verdict{Decision: evil, Reasons: []string{evil, evil}},
		Findings: []api.Finding{{ID: evil, Kind: evil, Severity: evil, Service: evil, Endpoint: evil, Path: evil, Summary: evil,
			Status: "open", Condition: evil, Example: &api.Example{ObservationID: evil, At: evil, Was: evil, Is: evil,
				Request: api.Message{Method: evil, Target: evil, Body: evil, Headers: []api.Header{{Name: evil, Value: evil}}}}}},
		Noise:   []api.Noise{{Service: evil, Endpoint: evil, Path: evil, Model: evil}},
		Latency: []api.Latency{{Service: evil, Endpoint: evil}}, Calls: []api.CallRate{{Dependency: evil, Operation: evil}},
	}
	if out := report.HTML(r); strings.Contains(out, "<script") || strings.Contains(out, "class=\"finding <") {
		t.Errorf("HTML holds markup:\n%s", out)
	}
	if out := report.Markdown(r); strings.Contains(out, "\x1b") || strings.Contains(withoutCode(out), "<script") || strings.Contains(withoutCode(out), "[x](") {
		t.Errorf("Markdown holds markup:\n%s", out)
	}
	if out := report.Text(r, report.Options{}); strings.ContainsAny(out, "\x1b\x00") {
		t.Errorf("text holds control characters: %q", out)
	}
	var doc struct {
		XMLName xml.Name
	}
	if err := xml.Unmarshal([]byte(report.JUnit(r)), &doc); err != nil || doc.XMLName.Local != "testsuites" {
		t.Errorf("JUnit is not well-formed: %v", err)
	}
}

// withoutCode cuts code spans out of Markdown.
func withoutCode(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		parts := strings.Split(line, "``")
		for i := 0; i < len(parts); i += 2 {
			b.WriteString(parts[i])
		}
	}
	return b.String()
}

func TestAnEmptyReportSaysWhatToDo(t *testing.T) {
	t.Parallel()
	r := api.Report{EnvironmentID: "env_1", Verdict: api.Verdict{Decision: "insufficient", Reasons: []string{"Nothing yet."}, RequestsNeeded: 200}}
	out := report.Text(r, report.Options{Width: 20})
	if !strings.HasPrefix(out, "NOT ENOUGH EVIDENCE") || !strings.HasSuffix(out, "Next: send about 200 more requests, then microstax env diffs env_1\n") {
		t.Errorf("got:\n%s", out)
	}
	for name, form := range forms() {
		if form(api.Report{}) == "" {
			t.Errorf("%s of nothing is empty", name)
		}
	}
}
