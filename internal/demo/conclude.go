// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/demo/shop"
	"microstax/internal/fault"
)

// conclude fetches the report, checks it against what was planted, and writes both.
func (r *run) conclude(ctx context.Context) (Result, error) {
	res := Result{Seen: r.traffic.Seen(), Baseline: r.baseline.ID, Overlay: r.overlay.ID}
	var err error
	if res.Report, err = r.Client.Report(ctx, r.overlay.ID); err != nil {
		return res, fmt.Errorf("fetch report: %w", err)
	}
	if res.Charges, err = r.charges(ctx); err != nil {
		return res, err
	}
	res.judge(r.changes())
	if r.Render != nil {
		if err := r.Render(res.Report); err != nil {
			return res, fmt.Errorf("write report: %w", err)
		}
	}
	for line := range strings.Lines(res.text(r.changes())) {
		r.Say(strings.TrimSuffix(line, "\n"))
	}
	return res, nil
}

// charges asks payments what it really did.
func (r *run) charges(ctx context.Context) (shop.Stats, error) {
	var s shop.Stats
	url, err := r.endpoint(shop.Payments)
	if err != nil {
		return s, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/stats", nil)
	if err != nil {
		return s, fault.E("read charges", fault.Internal, err)
	}
	client := &http.Client{Timeout: userPatience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return s, fault.E("read charges", fault.Unavailable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return s, fault.Errorf("read charges", fault.Unavailable, "payments answers %s", resp.Status)
	}
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fault.E("read charges", fault.Unavailable, err)
	}
	return s, nil
}

// judge compares what came out with what was planted.
func (res *Result) judge(planted []shop.Change) {
	found := map[shop.Change]bool{}
	for _, f := range res.Report.Findings {
		c, ok := explain(f)
		if !ok || !slices.Contains(planted, c) {
			res.Invented = append(res.Invented, f)
			continue
		}
		found[c] = found[c] || !consequence(f)
	}
	for _, c := range planted {
		if found[c] {
			res.Found = append(res.Found, c)
		} else {
			res.Missed = append(res.Missed, c)
			res.problem("%s was not found", c)
		}
	}
	for _, f := range res.Invented {
		res.problem("finding %s, %s %s, was not planted", f.ID, f.Endpoint, f.Summary)
	}
	s := res.Seen
	if s.Errors > 0 || s.Wrong > 0 {
		res.problem("users saw %d errors and %d wrong answers, first %s", s.Errors, s.Wrong, s.First)
	}
	if odd := res.oddCharges(); odd > 0 || res.Charges.Charges != len(s.Orders) {
		res.problem("%d charges for %d orders; %d orders not charged exactly once", res.Charges.Charges, len(s.Orders), odd)
	}
	switch d := res.Report.Verdict.Decision; {
	case len(planted) > 0 && d != "hold":
		res.problem("the verdict is %s, not hold", d)
	case len(planted) == 0 && d == "hold":
		res.problem("the verdict is hold, although nothing changed")
	}
}

func (res *Result) problem(format string, args ...any) {
	res.Problems = append(res.Problems, fmt.Sprintf(format, args...))
}

// oddCharges counts orders that were not charged exactly once.
func (res *Result) oddCharges() int {
	odd := 0
	for id := range res.Seen.Orders {
		if res.Charges.ByOrder[id] != 1 {
			odd++
		}
	}
	return odd
}

// explain says which planted change causes a finding.
func explain(f v1.Finding) (shop.Change, bool) {
	if f.Service != shop.Orders {
		return "", false
	}
	order := f.Endpoint == "POST /orders" || strings.HasPrefix(f.Endpoint, "GET /orders/")
	calls := strings.HasPrefix(f.Kind, "call.") || f.Kind == "effect.fenced"
	switch {
	case order && f.Kind == "body.type" && f.Path == "$.total":
		return shop.TotalAsString, true
	case order && f.Kind == "body.missing" && f.Path == "$.tax":
		return shop.JPYNoTax, true
	case calls && f.Endpoint == "POST /orders" && strings.HasPrefix(f.Path, "inventory GET /stock"):
		return shop.StockPerItem, true
	case calls && f.Endpoint == "POST /orders" && strings.HasPrefix(f.Path, "payments POST /charges"):
		return shop.DoubleCharge, true
	case f.Kind == "latency" && strings.HasPrefix(f.Endpoint, "GET /quotes"):
		return shop.SlowQuotes, true
	case f.Kind == "latency" && f.Endpoint == "POST /orders":
		return shop.StockPerItem, true // more calls take longer
	}
	return "", false
}

// consequence says that a finding follows from a planted change, but does not show that the change itself was found.
func consequence(f v1.Finding) bool { return f.Kind == "latency" && f.Endpoint == "POST /orders" }

// text is the demo's own conclusion.
func (res *Result) text(planted []shop.Change) string {
	var b strings.Builder
	s := res.Seen
	fmt.Fprintf(&b, "\nWhat users saw      %d answers to %d visitors, %d orders; %d errors, %d answers of the new version\n",
		s.Requests-s.Errors, s.Sessions, len(s.Orders), s.Errors, s.Wrong)
	fmt.Fprintf(&b, "What payments did   %d charges for %d orders", res.Charges.Charges, len(s.Orders))
	if odd := res.oddCharges(); odd == 0 && res.Charges.Charges == len(s.Orders) {
		b.WriteString(": exactly one each\n")
	} else {
		fmt.Fprintf(&b, ": %d orders were not charged exactly once\n", odd)
	}
	fmt.Fprintf(&b, "What was planted    %d changes, %d of them found; %d findings are of nothing that was planted\n",
		len(planted), len(res.Found), len(res.Invented))
	for _, c := range planted {
		fmt.Fprintf(&b, "  %-5s  %-16s %s\n", mark(slices.Contains(res.Found, c)), c, about(c))
	}
	for _, p := range res.Problems {
		fmt.Fprintf(&b, "Not as promised: %s\n", p)
	}
	return b.String()
}

func mark(found bool) string {
	if found {
		return "found"
	}
	return "NOT"
}

// about says what a change does, for people.
func about(c shop.Change) string {
	switch c {
	case shop.TotalAsString:
		return "an order's total is a string where it was a number"
	case shop.JPYNoTax:
		return "the tax is missing, only in JPY"
	case shop.StockPerItem:
		return "one more call to inventory for each line of an order"
	case shop.DoubleCharge:
		return "a second charge when the first is pending"
	case shop.SlowQuotes:
		return fmt.Sprintf("quotes take %d ms longer", shop.SlowBy.Milliseconds())
	default: // the demo plants no others
		return ""
	}
}

// progressLine says how far the demo is.
func progressLine(since time.Duration, s Seen, r v1.Report, err error) string {
	line := fmt.Sprintf("%4.0f s  %d answers to users, %d orders, %d errors", since.Seconds(), s.Requests-s.Errors, len(s.Orders), s.Errors)
	if err != nil {
		return line + "; no report yet"
	}
	return line + fmt.Sprintf("; %d compared, %d identical, %d findings; verdict so far: %s",
		r.Traffic.Compared, r.Traffic.Identical, len(r.Findings), r.Verdict.Decision)
}

// farewell tells how to look at what was kept.
func (r *run) farewell(failed error) {
	if r.overlay.ID == "" && r.baseline.ID == "" {
		return
	}
	r.say("")
	r.say("Everything runs on, with its Blueprints in %s.", r.dir)
	if r.overlay.ID != "" {
		r.say("  microstax env diffs %s            the report again", r.overlay.ID)
		r.say("  microstax env observations %s     the requests behind it", r.overlay.ID)
	}
	if url, err := r.endpoint(shop.API); err == nil && failed == nil {
		r.say("  curl '%s/products?currency=JPY'   be a user yourself", url)
		if r.overlay.OverlayID != "" {
			r.say("  curl -H 'x-msx-env: %s' '%s/quotes?currency=JPY&sku=tea-100'   meet the new version", r.overlay.OverlayID, url)
		}
	}
	for _, id := range []string{r.overlay.ID, r.baseline.ID} {
		if id != "" {
			r.say("  microstax env delete %s", id)
		}
	}
}
