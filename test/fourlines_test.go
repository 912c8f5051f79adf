// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "microstax/api/v1"
)

// TestFourLines is the main job on a program that others wrote, as two Blueprints.
func TestFourLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blueprint := func(name, bin string) string {
		return fmt.Sprintf("name: %s\nservices:\n  - name: httpbin\n    command: [%s, -host, \"${self.host}\", -port, \"${self.port}\"]\n    expose: true\n"+
			"    probes: {readiness: {http: /status/200}}\n", name, bin)
	}
	w.write("baseline.yaml", blueprint("bin", installed(t, httpbin, "v2.18.2")))
	w.write("overlay.yaml", blueprint("bin-new", installed(t, httpbin, "v2.26.0")))

	baseline := strings.TrimSpace(w.run("baseline", "create", "--file", "./baseline.yaml", "--quiet"))
	overlay := strings.TrimSpace(w.run("overlay", "create", "--baseline", baseline, "--file", "./overlay.yaml", "--quiet"))
	w.run("env", "shadow", overlay, "--enable")
	sent := drive(t, endpoint(t, parse[v1.Environment](t, w.run("env", "get", baseline, "-o", "json"))), httpbinCalls(), 16)
	r := w.report(overlay, sent)
	changedByPeople(t, r)
	if r.Verdict.Decision != "hold" {
		t.Errorf("verdict %+v", r.Verdict)
	}
	if text := w.run("env", "diffs", overlay); !strings.HasPrefix(text, "HOLD") {
		t.Errorf("the report begins %q", firstLine(text))
	}
	w.refused(3, "env", "diffs", overlay, "--gate")
	w.formats(overlay, r)
	for _, f := range r.Findings {
		if f.Example == nil || f.Example.ObservationID == "" {
			t.Errorf("%s %s has no example", f.Kind, f.Endpoint)
		}
	}
	f := r.Findings[0]
	kept := parse[[]v1.ObservationSummary](t, w.run("env", "observations", overlay, "--finding", f.ID, "-o", "json"))
	if len(kept) == 0 {
		t.Errorf("no observation shows %s", f.ID)
	}
	for _, o := range kept {
		if !slices.Contains(o.Findings, f.ID) || o.Endpoint != f.Endpoint {
			t.Errorf("%s is no observation of %s: %+v", o.ID, f.ID, o)
		}
	}
}

// formats reads the report in every format there is.
func (w *world) formats(ref string, r v1.Report) {
	w.t.Helper()
	if got := parse[v1.Report](w.t, w.run("env", "diffs", ref, "-o", "json")); got.SessionID != r.SessionID || len(got.Findings) != len(r.Findings) {
		w.t.Errorf("json has %d findings, want %d", len(got.Findings), len(r.Findings))
	}
	var suites struct {
		Suites []struct {
			Cases []struct {
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(w.run("env", "diffs", ref, "-o", "junit")), &suites); err != nil {
		w.t.Errorf("junit: %v", err)
	}
	failures := 0
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			if c.Failure != nil {
				failures++
			}
		}
	}
	if failures == 0 {
		w.t.Error("junit shows no failure, and the verdict is hold")
	}
	html, markdown := w.run("env", "diffs", ref, "-o", "html"), w.run("env", "diffs", ref, "-o", "markdown")
	if err := wellFormed(html); err != nil {
		w.t.Errorf("html: %v", err)
	}
	for _, f := range r.Findings {
		if !strings.Contains(html, f.ID) || !strings.Contains(markdown, f.ID) {
			w.t.Errorf("%s is not in the html or not in the markdown", f.ID)
		}
	}
	var yaml map[string]any
	if err := json.Unmarshal([]byte(w.run("env", "diffs", ref, "-o", "yaml")), &yaml); err == nil {
		w.t.Error("yaml is json")
	}
}

// wellFormed reads a page to its end.
func wellFormed(page string) error {
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// TestCommandsOfALife goes through the commands that look at environments and change them.
func TestCommandsOfALife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop, pr1, url := w.pair()
	for i := range 40 {
		send(t, "GET", fmt.Sprintf("%s/item/%d", url, i), "", "", "Cookie", fmt.Sprintf("sid=s%d", i))
	}
	w.report("pr-1", 40)
	for _, tt := range []struct {
		args []string
		want []string // in what is printed
	}{
		{[]string{"env", "list"}, []string{"shop", "pr-1", shop.ID, "baseline", "overlay"}},
		{[]string{"baseline", "list"}, []string{"shop", url}},
		{[]string{"baseline", "get", "shop"}, []string{shop.ID, url}},
		{[]string{"overlay", "list", "--baseline", "shop"}, []string{"pr-1"}},
		{[]string{"env", "get", pr1.ID}, []string{"pr-1", "ready", "inherited", "listed"}},
		{[]string{"env", "status", "pr-1"}, []string{"back/candidate/0", "back/control/0", "back/primary/0"}},
		{[]string{"env", "logs", "shop", "--service", "front"}, []string{"front | front v1 starts"}},
		{[]string{"env", "logs", "pr-1"}, []string{"back/candidate | back v2 starts", "back/control | back v1 starts", "back | back v2 starts"}},
		{[]string{"env", "lineage", "pr-1"}, []string{"pr-1", "shop", "inherited"}},
		{[]string{"env", "shadow", "pr-1"}, []string{pr1.Shadow.SessionID, "40 received"}},
		{[]string{"env", "observations", "pr-1", "--endpoint", "GET /item/{id}"}, []string{"obs_"}},
		{[]string{"env", "diffs", "pr-1"}, []string{"40 received, 40 compared"}},
		{[]string{"env", "shadow", "pr-1", "--disable"}, []string{"off"}},
		{[]string{"env", "diffs", "pr-1"}, []string{"40 received, 40 compared"}}, // the evidence stays
		{[]string{"env", "list", "-o", "json"}, []string{`"id": "` + pr1.ID + `"`}},
		{[]string{"env", "list", "-o", "yaml"}, []string{"id: " + pr1.ID}},
	} {
		out := w.run(tt.args...)
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("microstax %s does not tell %q:\n%s", strings.Join(tt.args, " "), want, out)
			}
		}
	}
	if left := w.processes("v2"); len(left) != 1 {
		t.Errorf("after disabling there are %v", left)
	}
	r := read[v1.Report](w, "/v1/environments/pr-1/diffs")
	if len(r.Findings) != 1 || r.Verdict.Decision != "hold" {
		t.Fatalf("verdict %+v, findings %+v", r.Verdict, r.Findings)
	}
	w.run("env", "accept", "pr-1", r.Findings[0].ID, "--reason", "meant")
	r = read[v1.Report](w, "/v1/environments/pr-1/diffs")
	if len(r.Findings) != 1 || r.Findings[0].Status != "accepted" || r.Verdict.Decision == "hold" {
		t.Errorf("after it was accepted: verdict %+v, findings %+v", r.Verdict, r.Findings)
	}
	if said := w.refused(1, "env", "delete", "shop"); !strings.Contains(said, "pr-1") {
		t.Errorf("a baseline with an overlay was refused without naming it: %s", said)
	}
	w.run("env", "delete", "pr-1")
	w.run("env", "delete", "shop")
	if out := strings.TrimSpace(w.run("env", "list", "-o", "json")); out != "[]" {
		t.Errorf("after everything was deleted: %s", out)
	}
}
