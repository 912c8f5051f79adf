// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/observation"
)

// walks notes which steps of which users somebody saw: requests are for /u/USER/STEP.
type walks struct {
	mu    sync.Mutex
	seen  map[string]map[int]bool
	wrong []string // steps that came before one that the user had taken before
}

func (s *walks) note(path string) {
	var user string
	var n int
	if _, err := fmt.Sscanf(strings.ReplaceAll(path, "/", " "), " u %s %d", &user, &n); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]map[int]bool{}
	}
	if s.seen[user] == nil {
		s.seen[user] = map[int]bool{}
	}
	if n != len(s.seen[user])+1 {
		s.wrong = append(s.wrong, path)
	}
	s.seen[user][n] = true
}

// gaps are the users of whom a later step was seen and an earlier one was not.
func (s *walks) gaps() (bad []string, users int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for user, seen := range s.seen {
		users++
		for n := 1; n <= len(seen); n++ {
			if !seen[n] {
				bad = append(bad, fmt.Sprintf("user %s: %d steps, not %d", user, len(seen), n))
				break
			}
		}
	}
	return bad, users
}

// at takes so many requests a second, one at a time.
func at(t *testing.T, rate int, s *walks) string {
	t.Helper()
	var turn sync.Mutex
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		turn.Lock()
		<-time.After(time.Second / time.Duration(rate))
		turn.Unlock()
		s.note(r.URL.Path)
		io.WriteString(w, "ok")
	})
}

// send lets users take their steps in turn, so many requests a second in all, until done says so.
func send(t *testing.T, addr string, users, rate int, done func() bool) (sent int64) {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: users}
	defer tr.CloseIdleConnections()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var wg sync.WaitGroup
	step := make([]int, users)
	busy := make([]sync.Mutex, users)
	for i := 0; !done(); i++ {
		<-tick.C
		u := i % users
		sent++
		wg.Go(func() {
			busy[u].Lock()
			defer busy[u].Unlock()
			step[u]++
			req, _ := http.NewRequest("GET", fmt.Sprintf("http://%s/u/%d/%d", addr, u, step[u]), nil)
			req.Header.Set("Cookie", fmt.Sprintf("sid=user-%d", u))
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
				t.Errorf("user got %q, %v", body, err)
			}
		})
	}
	wg.Wait()
	return sent
}

// TestSlowShadowsGetWholeSessions: of more than the shadows can take, they get some sessions, from their beginning and
// without holes and in order; both get the same; and every request is accounted for.
func TestSlowShadowsGetWholeSessions(t *testing.T) {
	t.Parallel()
	var candidate, control walks
	base := backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	addr := proxytest.Addr(t)
	c := proxytest.NewCollector()
	p := proxytest.Start(t, c, true, proxy.Limits{Lag: 200 * time.Millisecond, CaptureBudget: 1 << 40},
		proxytest.Mirrored(addr, base, at(t, 50, &candidate), at(t, 50, &control), blueprint.Shadow{Session: []string{"cookie:sid"}}))
	sent := send(t, addr, 60, 500, func() bool { return c.Dropped()[observation.Shed] > 400 })
	c.Until(t, func() bool { now, _ := c.InFlight(); return now == 0 && c.Received() == sent })
	d := c.Dropped()
	if len(d) != 1 {
		t.Errorf("dropped %v, want only what was shed", d)
	}
	if _, least := c.InFlight(); least < 0 {
		t.Errorf("%d more were told than received", -least)
	}
	for name, s := range map[string]*walks{"candidate": &candidate, "control": &control} {
		if bad, users := s.gaps(); len(bad) > 0 || users < 10 {
			t.Errorf("%s: %d users, with holes: %v", name, users, bad)
		}
		if len(s.wrong) > 0 {
			t.Errorf("%s: out of order: %v", name, s.wrong)
		}
	}
	var compared walks
	below := 0
	for _, o := range c.Observations() {
		compared.note(o.Baseline.Request.Target)
		if o.Inclusion > 0 && o.Inclusion < 1 {
			below++
		}
		if o.Load.Baseline < 1 || o.Load.Control < 1 || o.Load.Candidate < 1 || o.Load.Lag <= 0 {
			t.Fatalf("load %+v", o.Load)
		}
	}
	if bad, _ := compared.gaps(); len(bad) > 0 {
		t.Errorf("compared with holes: %v", bad)
	}
	if s := p.Stats(); below == 0 || s.Share >= 1 || s.ShedSessions < 10 {
		t.Errorf("%d observations with a probability below 1, share %v, %d sessions shed", below, s.Share, s.ShedSessions)
	}
}

// TestALoginIsSampledWithItsSession: the request that begins a session shares its fate.
func TestALoginIsSampledWithItsSession(t *testing.T) {
	t.Parallel()
	up := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if user, ok := strings.CutPrefix(r.URL.Path, "/login/"); ok {
			w.Header().Set("Set-Cookie", "sid="+user+"; Path=/")
		}
		io.WriteString(w, "ok")
	})
	addr, half := proxytest.Addr(t), 0.5
	c := proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, up, up, up, blueprint.Shadow{Sample: &half, Session: []string{"cookie:sid", "client-ip"}}))
	const users = 60
	for u := range users {
		for _, path := range []string{"/login/u%d", "/cart/u%d", "/order/u%d"} {
			headers := ""
			if path != "/login/u%d" {
				headers = fmt.Sprintf("Cookie: sid=u%d\r\n", u)
			}
			talk(t, addr, "GET "+fmt.Sprintf(path, u)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+headers+"\r\n")
		}
	}
	c.Until(t, func() bool { now, _ := c.InFlight(); return now == 0 && c.Received() == 3*users })
	got := map[string]int{}
	for _, o := range c.Observations() {
		got[o.Baseline.Request.Target[strings.LastIndexByte(o.Baseline.Request.Target, '/')+1:]]++
	}
	for user, n := range got {
		if n != 3 {
			t.Errorf("%s: %d of 3 requests were mirrored", user, n)
		}
	}
	if len(got) < users/5 || len(got) > users*4/5 {
		t.Errorf("%d of %d users at a sample of 50 %%", len(got), users)
	}
	for _, o := range c.Observations() {
		if o.Inclusion != half {
			t.Fatalf("probability %v", o.Inclusion)
		}
	}
}
