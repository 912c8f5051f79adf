// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"microstax/internal/fault"
)

// Noise is how a service's answers vary although nothing was changed. Every version of a service has the same.
type Noise string

// The profiles, as NOISE names them.
const (
	// Usual is what the demo has: random ids for requests and charges, clocks, lists in no order, work that takes as long as
	// it takes.
	Usual Noise = ""
	// Quiet has none: what is random is worked out from the request, and the clock stands.
	Quiet Noise = "quiet"
	// Volatile is Usual with more of it: tokens, times and a measured number in most answers, lists shuffled every time.
	Volatile Noise = "volatile"
	// Flaky is Quiet with failures: 2 % of the requests are answered with 503, 1 % of the connections break, 0.2 % of the
	// answers come after Hang; and work takes up to four times as long as usual.
	Flaky Noise = "flaky"
	// Drifting is Quiet with a state that no two instances share: counters, a cache with an age, a variant that is drawn
	// for every session and kept, a number that grows with the instance's age.
	Drifting Noise = "drifting"
)

// Profiles are those that a measurement uses.
func Profiles() []Noise { return []Noise{Quiet, Volatile, Flaky, Drifting} }

// What Flaky does, in thousandths of the requests, and for how long.
const (
	flakyUnavailable, flakyBroken, flakyHanging = 20, 10, 2

	// Hang is how long an answer of Flaky hangs.
	Hang = 1500 * time.Millisecond
	// cacheFor is how long an entry of Drifting's cache lives.
	cacheFor = 700 * time.Millisecond
)

func parseNoise(name string) (Noise, error) {
	n := Noise(name)
	if n != Usual && !slices.Contains(Profiles(), n) {
		return n, fault.Errorf("read NOISE", fault.Invalid, "there is no noise %q", name).
			WithHint("there are quiet, volatile, flaky and drifting; without NOISE it is the demo's")
	}
	return n, nil
}

// random says whether values are drawn, rather than worked out from the request.
func (n Noise) random() bool { return n == Usual || n == Volatile }

// standing is the time at which the clocks of profiles without time stand.
func standing() time.Time { return time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC) }

// clock is the profile's.
func (n Noise) clock() func() time.Time {
	if n.random() {
		return time.Now
	}
	return standing
}

// token is bytes random bytes in hex, or as many that from decides.
func (n Noise) token(bytes int, from ...string) string {
	if n.random() {
		return randomHex(bytes)
	}
	sum := sha256.Sum256([]byte(strings.Join(from, "\x1f")))
	return hex.EncodeToString(sum[:min(bytes, len(sum))])
}

// requestID is what an answer calls its request.
func (n Noise) requestID(r *http.Request) string {
	if n.random() {
		return uuid()
	}
	h := n.token(16, r.Method, r.URL.RequestURI(), r.Header.Get("Cookie"), r.Header.Get("Idempotency-Key"))
	return strings.Join([]string{h[:8], h[8:12], "4" + h[13:16], "8" + h[17:20], h[20:]}, "-")
}

// mixed is a set as a list: in no order, or sorted where nothing is random.
func (n Noise) mixed(set map[string]bool) []string {
	list := shuffled(set)
	if !n.random() {
		slices.Sort(list)
	}
	return list
}

// work takes as long as real work would.
func (n Noise) work(ctx context.Context, base time.Duration) {
	switch n {
	case Usual:
	case Flaky:
		base += mathrand.N(3 * base) //nolint:gosec // not secret
	default:
		base /= 4 // a measurement asks often
	}
	work(ctx, base)
}

// fail answers as Flaky does now and then, and says whether it did.
func (n Noise) fail(w http.ResponseWriter, r *http.Request) bool {
	if n != Flaky || r.URL.Path == healthPath {
		return false
	}
	switch d := mathrand.N(1000); { //nolint:gosec // not secret
	case d < flakyUnavailable:
		answer(w, 0, nil, refuse(http.StatusServiceUnavailable, "try again"))
	case d < flakyUnavailable+flakyBroken:
		breakOff(w, http.StatusOK, []byte("{}"))
	case d < flakyUnavailable+flakyBroken+flakyHanging:
		pause(r.Context(), Hang)
		return false
	default:
		return false
	}
	return true
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// drift is the state of Drifting that each instance has for itself.
type drift struct {
	began time.Time

	mu       sync.Mutex // guards what follows
	count    int
	cached   map[string]time.Time // when an entry was made
	variants map[string]string    // by session
}

func newDrift() *drift {
	return &drift{began: time.Now(), cached: make(map[string]time.Time), variants: make(map[string]string)}
}

// next counts.
func (d *drift) next() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	return d.count
}

// age is how long an entry has been in the cache; 0 when it was just put there.
func (d *drift) age(key string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if at, known := d.cached[key]; known && now.Sub(at) < cacheFor {
		return now.Sub(at)
	}
	if len(d.cached) < maxKept {
		d.cached[key] = now
	}
	return 0
}

// variant is a session's: drawn once, kept for as long as the instance lives.
func (d *drift) variant(session string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, known := d.variants[session]
	if !known {
		v = [...]string{"plain", "bold"}[mathrand.N(2)] //nolint:gosec // not secret
		if len(d.variants) < maxKept {
			d.variants[session] = v
		}
	}
	return v
}

// level grows by one every two seconds of the instance's life.
func (d *drift) level() int { return 100 + int(time.Since(d.began)/(2*time.Second)) }
