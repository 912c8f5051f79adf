// SPDX-License-Identifier: Apache-2.0

package redact_test

import (
	"encoding/json"
	"strings"
	"testing"

	"microstax/internal/exchange"
	"microstax/internal/observation"
)

// FuzzJSON puts a secret of any form under configured paths, into any JSON text, and anywhere into text that is none:
// nothing panics, and the secret is nowhere in what comes out.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, {"b": null}]}`), "4111-1111-1111", "application/json")
	f.Add([]byte(`{"card":{"number":1}} {"card":[]}`), "\"\\\x00é\xff!!", "text/plain")
	f.Add([]byte(`[`), "p=1&q=2;x y", "application/x-www-form-urlencoded")
	f.Add([]byte("\ufeff\"x\""), "<script>%41%zz", "")
	f.Fuzz(func(t *testing.T, other []byte, secret, media string) {
		// Shorter ones, and those of few letters, come about by chance: \u0000 0000 holds 0000 0000.
		if len(secret) < 8 || letters(secret) < 6 || strings.Contains(string(other), secret) || strings.Contains(media, secret) || innocent(secret) {
			t.Skip()
		}
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(quoted, &secret); err != nil { // invalid UTF-8 is replaced in JSON
			t.Fatal(err)
		}
		inside := `{"x":` + string(quoted) + `,"card":{"number":` + string(quoted) + `},"items":[{"secret":` + string(quoted) + `}]}`
		if json.Valid(other) {
			inside = `{"other":` + string(other) + `,"moved":` + string(quoted) + `,` + inside[1:]
		}
		e := exchange.Exchange{}
		e.Request.Headers = headers("Content-Type", media)
		e.Request.Body = body(inside)
		e.Response.Headers = e.Request.Headers
		e.Response.Body = body(string(other) + secret)
		o := &observation.Observation{Baseline: e, Candidate: exchange.Exchange{Response: exchange.Response{Body: body(inside)}}}
		leaks(t, redactor(canaryRules()...).Observation(o), secret)
	})
}

// letters is how many different bytes a text has.
func letters(s string) int {
	seen := map[byte]bool{}
	for i := range len(s) {
		seen[s[i]] = true
	}
	return len(seen)
}

// innocent says whether a text is part of what every observation of the fuzz test holds.
func innocent(secret string) bool {
	const frame = `{"id":"","session":"","service":"","at":"0001-01-01T00:00:00Z","unit":"","ownUnit":false,"lane":false,"callsTraced":false,"baseline":{"start":"0001-01-01T00:00:00Z","firstByte":0,"duration":0,"outcome":"","request":{"method":"","target":"","proto":"","headers":[{"n":"Content-Type","v":""}],"body":{"data":"","length":0,"truncated":true}},"response":{"status":0,"headers":null}},"candidate":{"x":"","card":{"number":""},"items":[{"secret":""}],"other":,"moved":`
	return strings.Contains(frame, secret) || strings.Contains(secret, "tok_")
}
