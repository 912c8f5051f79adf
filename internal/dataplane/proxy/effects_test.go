// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/dataplane/route"
	"microstax/internal/observation"
)

// scene is a front service whose orders dependency calls payments and stock, everything over real listeners.
type scene struct {
	front             string // gateway
	charges, stock    atomic.Int64
	collector         *proxytest.Collector
	client            *http.Client
	forwards          bool
	payAddr, stockAdr string
}

// ordersV1 charges once and asks for stock once.
func ordersV1(call func(method, url, body string) string, pay, stock, n string) string {
	return call("POST", pay+"/charges", `{"order":"`+n+`","amount":5}`) + call("GET", stock+"/stock?sku="+n, "")
}

// service runs one version of orders, which calls through its own listeners.
func (s *scene) service(t *testing.T, pay, stock string, version func(func(string, string, string) string, string, string, string) string) string {
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		call := func(method, url, body string) string {
			req, err := http.NewRequestWithContext(r.Context(), method, url, strings.NewReader(body))
			if err != nil {
				return err.Error()
			}
			req.Header.Set("Content-Type", "application/json")
			if s.forwards {
				req.Header.Set("traceparent", r.Header.Get("traceparent"))
			}
			resp, err := s.client.Do(req)
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			return fmt.Sprintf("[%d %s]", resp.StatusCode, b)
		}
		io.WriteString(w, version(call, pay, stock, r.URL.Query().Get("n")))
	})
}

func startScene(t *testing.T, forwards bool, policy string, candidate func(func(string, string, string) string, string, string, string) string) *scene {
	t.Helper()
	s := &scene{forwards: forwards, collector: proxytest.NewCollector(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.payAddr = backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.charges.Add(1)
		fmt.Fprintf(w, `{"charge":%q}`, body)
	})
	s.stockAdr = backend(t, func(w http.ResponseWriter, r *http.Request) {
		s.stock.Add(1)
		fmt.Fprintf(w, `{"left":%d}`, len(r.URL.RawQuery))
	})
	gw := proxytest.Addr(t)
	out := map[string]string{}
	for _, role := range []string{"primary", "candidate", "control"} {
		for _, dep := range []string{"payments", "stock"} {
			out[role+dep] = proxytest.Addr(t)
		}
	}
	ordersAddr := map[string]string{}
	for role, v := range map[string]func(func(string, string, string) string, string, string, string) string{
		"primary": ordersV1, "control": ordersV1, "candidate": candidate,
	} {
		ordersAddr[role] = s.service(t, "http://"+out[role+"payments"], "http://"+out[role+"stock"], v)
	}
	sh := &route.Shadow{Session: "ses_t", Overlay: "env_o", Baseline: "env_b", Services: []string{"orders"}, Control: true}
	settings := blueprint.Shadow{Concurrency: 16, Timeout: blueprint.Duration(5 * time.Second), Session: []string{"header:user"}}
	table := &route.Table{Revision: 1, Shadows: map[string]*route.Shadow{"ses_t": sh}, Listeners: []route.Listener{{
		ID: "gw", Addr: gw, Kind: route.Gateway, Origin: route.Origin{Environment: "env_b"}, Service: "orders",
		Default: &route.Target{Service: "orders", Addrs: []string{ordersAddr["primary"]}, Mirror: []*route.Entry{{
			Shadow: sh, Service: "orders", Candidate: []string{ordersAddr["candidate"]}, Control: []string{ordersAddr["control"]},
			Settings: settings, CallsOut: true,
		}}},
	}}}
	for _, role := range []string{"primary", "candidate", "control"} {
		for dep, addr := range map[string]string{"payments": s.payAddr, "stock": s.stockAdr} {
			target := &route.Target{Service: dep, Addrs: []string{addr}}
			if role == "primary" {
				target.Record = []*route.Shadow{sh}
			} else {
				target.Effect = &route.Effect{Shadow: sh, Side: role, Caller: "orders", Policy: policy}
			}
			table.Listeners = append(table.Listeners, route.Listener{
				ID: role + dep, Addr: out[role+dep], Kind: route.Outgoing, Service: dep,
				Origin: route.Origin{Environment: "env_b", Service: "orders", Role: role}, Default: target,
			})
		}
	}
	proxytest.Start(t, s.collector, true, proxy.Limits{}, table)
	s.front = "http://" + gw
	return s
}

// drive sends n requests over several users, and returns what the users saw.
func (s *scene) drive(t *testing.T, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for u := range 4 {
		wg.Go(func() {
			for i := range n / 4 {
				req, _ := http.NewRequest("POST", fmt.Sprintf("%s/orders?n=%d-%d", s.front, u, i), nil)
				req.Header.Set("User", fmt.Sprint("u", u))
				resp, err := s.client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.Contains(string(b), fmt.Sprintf(`"order\":\"%d-%d\"`, u, i)) {
					t.Errorf("user saw %s", b)
				}
			}
		})
	}
	wg.Wait()
}

func TestShadowsAreAnsweredFromTheRecordingAndWriteNothing(t *testing.T) {
	t.Parallel()
	for _, forwards := range []bool{true, false} {
		t.Run(fmt.Sprintf("forwards %v", forwards), func(t *testing.T) {
			t.Parallel()
			s := startScene(t, forwards, "replay", ordersV1)
			const n = 60
			s.drive(t, n)
			for _, o := range s.collector.WaitFor(t, n) {
				if string(o.Candidate.Response.Body.Data) != string(o.Baseline.Response.Body.Data) ||
					string(o.Control.Response.Body.Data) != string(o.Baseline.Response.Body.Data) {
					t.Fatalf("baseline %s\ncontrol %s\ncandidate %s", o.Baseline.Response.Body.Data,
						o.Control.Response.Body.Data, o.Candidate.Response.Body.Data)
				}
				for _, calls := range [][]observation.Call{o.ControlCalls, o.CandidateCalls} {
					if len(calls) != 2 || calls[0].Effect != observation.Replayed || calls[0].Tier != observation.Exact ||
						calls[1].Tier != observation.Exact {
						t.Fatalf("calls %+v", calls)
					}
				}
				if o.CallsTraced != forwards {
					t.Fatalf("traced %v", o.CallsTraced)
				}
			}
			if s.charges.Load() != n || s.stock.Load() != n {
				t.Fatalf("%d charges and %d looks at the stock, want %d each", s.charges.Load(), s.stock.Load(), n)
			}
		})
	}
}

func TestSecondChargeIsFencedAndSeen(t *testing.T) {
	t.Parallel()
	twice := func(call func(string, string, string) string, pay, stock, n string) string {
		call("POST", pay+"/charges", `{"order":"`+n+`","amount":5}`)
		return ordersV1(call, pay, stock, n) + call("DELETE", pay+"/charges/7", "") + call("GET", stock+"/stock/"+n, "")
	}
	for _, forwards := range []bool{true, false} {
		t.Run(fmt.Sprintf("forwards %v", forwards), func(t *testing.T) {
			t.Parallel()
			s := startScene(t, forwards, "replay", twice)
			const n = 20
			s.drive(t, n)
			for _, o := range s.collector.WaitFor(t, n) {
				c := o.CandidateCalls
				if len(c) != 5 {
					t.Fatalf("%d calls: %+v", len(c), c)
				}
				want := []struct {
					effect observation.Effect
					tier   observation.Tier
					status int
				}{
					{observation.Replayed, observation.Exact, 200},
					{observation.Fenced, observation.Repeat, 200},
					{observation.Replayed, observation.Exact, 200},
					{observation.Fenced, observation.None, 503},
					{observation.ReadThrough, observation.None, 200},
				}
				for i, w := range want {
					if c[i].Effect != w.effect || c[i].Tier != w.tier || c[i].Exchange.Response.Status != w.status {
						t.Fatalf("call %d: %s %s %d, want %+v", i, c[i].Effect, c[i].Tier, c[i].Exchange.Response.Status, w)
					}
				}
				if !c[3].Tainted || c[1].Tainted {
					t.Fatal("taint is wrong")
				}
			}
			if s.charges.Load() != n {
				t.Fatalf("%d charges left, want %d", s.charges.Load(), n)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]struct {
		effect observation.Effect
		times  int64
	}{"passthrough": {observation.Passed, 3}, "block": {observation.Blocked, 1}} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := startScene(t, true, policy, ordersV1)
			const n = 8
			s.drive(t, n)
			for _, o := range s.collector.WaitFor(t, n) {
				if len(o.CandidateCalls) == 0 || o.CandidateCalls[0].Effect != want.effect {
					t.Fatalf("calls %+v", o.CandidateCalls)
				}
			}
			if s.charges.Load() != n*want.times {
				t.Fatalf("%d charges, want %d", s.charges.Load(), n*want.times)
			}
		})
	}
}

// notes is a service that keeps notes under ids of its own making, and gives every visitor a cookie of its own.
func notes(t *testing.T, first int) string {
	var mu sync.Mutex
	next, texts, known := first, map[string]string{}, map[string]bool{}
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/login" {
			sid := fmt.Sprintf("s%dx%020d", first, next)
			next, known[sid] = next+1, true
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: sid})
			return
		}
		if c, err := r.Cookie("sid"); err != nil || !known[c.Value] {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch {
		case r.Method == "POST":
			next++
			texts[fmt.Sprint(next)] = string(body)
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":%d,"text":%q}`, next, body)
		case texts[parts[1]] == "":
			w.WriteHeader(http.StatusNotFound)
		case r.Method == "DELETE":
			delete(texts, parts[1])
		default:
			fmt.Fprintf(w, `{"id":%s,"text":%q}`, parts[1], texts[parts[1]])
		}
	})
}

func TestAServiceWithIDsOfItsOwnIsFollowedThroughWholeSessions(t *testing.T) {
	t.Parallel()
	addr := proxytest.Addr(t)
	c := proxytest.NewCollector()
	proxytest.Start(t, c, false, proxy.Limits{}, proxytest.Mirrored(addr, notes(t, 1000), notes(t, 1), notes(t, 70), blueprint.Shadow{}))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	n := 0
	do := func(method, path, sid, body string) (answer, cookie string) {
		req, _ := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
		if sid != "" {
			req.Header.Set("Cookie", "sid="+sid)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		for _, k := range resp.Cookies() {
			cookie = k.Value
		}
		n++
		return string(b), cookie
	}
	for user := range 20 {
		_, sid := do("POST", "/login", "", "")
		answer, _ := do("POST", "/notes", sid, fmt.Sprint("note of ", user))
		id, _, _ := strings.Cut(strings.TrimPrefix(answer, `{"id":`), ",")
		do("GET", "/notes/"+id, sid, "")
		do("DELETE", "/notes/"+id, sid, "")
		do("GET", "/notes/"+id, sid, "")
	}
	for _, o := range c.WaitFor(t, n) {
		if o.Control.Response.Status != o.Baseline.Response.Status || o.Candidate.Response.Status != o.Baseline.Response.Status {
			t.Fatalf("%s %s: baseline %d, control %d, candidate %d", o.Baseline.Request.Method, o.Baseline.Request.Target,
				o.Baseline.Response.Status, o.Control.Response.Status, o.Candidate.Response.Status)
		}
	}
}
