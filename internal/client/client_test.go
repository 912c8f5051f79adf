// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	v1 "microstax/api/v1"
	"microstax/internal/client"
	"microstax/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial gives a client of a server that answers with h.
func dial(t *testing.T, h http.HandlerFunc, change func(*client.Options)) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	o := client.Options{URL: s.URL + "/"}
	if change != nil {
		change(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return c
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // a test
}

func TestProblemsBecomeFaults(t *testing.T) {
	t.Parallel()
	place := v1.Place{File: "b.yaml", Line: 3, Column: 5, Rule: "unknown-field", Message: "unknown field"}
	for _, c := range []struct {
		name string
		p    v1.Problem
		kind fault.Kind
		says string
	}{
		{"invalid", v1.Problem{Status: 422, Kind: "invalid", Detail: "bad", RequestID: "r", Hint: "mend", Errors: []v1.Place{place}}, fault.Invalid, "get environment: bad"},
		{"same operation", v1.Problem{Status: 404, Kind: "notFound", Detail: "get environment: none", RequestID: "r"}, fault.NotFound, "get environment: none"},
		{"internal", v1.Problem{Status: 500, Kind: "internal", Detail: "boom", RequestID: "req_7"}, fault.Internal, "get environment: boom (request req_7)"},
		{"kind of later", v1.Problem{Status: 409, Kind: "paused", Detail: "x", RequestID: "r"}, fault.Conflict, "get environment: x"},
		{"title only", v1.Problem{Status: 503, Title: "Service Unavailable", RequestID: "r"}, fault.Unavailable, "get environment: Service Unavailable"},
		{"not ours", v1.Problem{Status: 404}, fault.NotFound, "get environment: the server answered 404 Not Found, which is not an answer of MicroStax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := dial(t, func(w http.ResponseWriter, _ *http.Request) { write(w, c.p.Status, c.p) }, nil).Environment(t.Context(), "x")
			if !fault.Is(err, c.kind) || err.Error() != c.says || (c.p.Hint != "" && fault.HintOf(err) != c.p.Hint) {
				t.Errorf("got %s %q, hint %q", fault.KindOf(err), err, fault.HintOf(err))
			}
			if got := fault.PlacesOf(err); len(got) != len(c.p.Errors) || (len(got) == 1 && got[0] != fault.Place(place)) {
				t.Errorf("got places %+v", got)
			}
		})
	}
}

func TestRequestCarriesTokenUserAndEscapedNames(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got, body = r, string(raw)
		write(w, 200, v1.Envelope[v1.Finding]{Data: v1.Finding{ID: "fnd_1"}})
	}, func(o *client.Options) { o.Token, o.User, o.NewKey = "tok", "ann", func() string { return "key1" } })
	f, err := c.Decide(t.Context(), "a/b c", "fnd_1", v1.FindingPatch{Status: "accepted"})
	if err != nil || f.ID != "fnd_1" {
		t.Fatalf("got %+v, %v", f, err)
	}
	if got.Method != "PATCH" || got.URL.EscapedPath() != "/v1/environments/a%2Fb%20c/diffs/fnd_1" || body != `{"status":"accepted"}` {
		t.Errorf("got %s %s %s", got.Method, got.URL.EscapedPath(), body)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer tok", "X-Microstax-User": "ann", "Idempotency-Key": "key1", "Content-Type": "application/json",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: got %q", name, got.Header.Get(name))
		}
	}
}

func TestWritesAreRepeatedOnlyUnderAKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		key   func() string
		tries int
		ok    bool
	}{
		{"with a key", func() string { return "k" }, 2, true},
		{"without", nil, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var keys []string
			cl := dial(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				keys = append(keys, r.Header.Get("Idempotency-Key"))
				first := len(keys) == 1
				mu.Unlock()
				if first {
					panic(http.ErrAbortHandler) // the connection breaks before an answer
				}
				write(w, 202, v1.Envelope[v1.Environment]{Data: v1.Environment{ID: "env_1"}})
			}, func(o *client.Options) { o.NewKey = c.key })
			_, err := cl.Stop(t.Context(), "x")
			mu.Lock()
			defer mu.Unlock()
			if (err == nil) != c.ok || len(keys) != c.tries {
				t.Errorf("got %v after %d tries", err, len(keys))
			}
			if !c.ok && !fault.Is(err, fault.Unavailable) {
				t.Errorf("got kind %s", fault.KindOf(err))
			}
			if c.ok && keys[0] != keys[1] {
				t.Errorf("the keys differ: %q", keys)
			}
		})
	}
}

func TestListsReadAllPagesUpToALimit(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		size, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		var env v1.Envelope[[]v1.ObservationSummary]
		for i := from; i < min(from+size, from+3, 8); i++ {
			env.Data = append(env.Data, v1.ObservationSummary{ID: strconv.Itoa(i)})
		}
		if from+len(env.Data) < 8 {
			env.Meta.NextCursor = strconv.Itoa(from + len(env.Data))
		}
		write(w, 200, env)
	}, nil)
	for limit, want := range map[int]string{0: "01234567", 5: "01234", 100: "01234567", 2: "01"} {
		list, err := c.Observations(t.Context(), "x", client.ObservationQuery{Limit: limit})
		var got strings.Builder
		for _, o := range list {
			got.WriteString(o.ID)
		}
		if err != nil || got.String() != want {
			t.Errorf("limit %d: got %s, %v", limit, got.String(), err)
		}
	}
}

func TestEventStreamFormat(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, ": a comment\nretry: 5\nid: 1\n\nevent: progress\r\ndata: {\"type\":\"progress\",\r\ndata: \"message\":\"one\"}\r\n\r\n"+ //nolint:errcheck // a test
			"data:{\"type\":\"status\",\"status\":\"ready\"}\n\nevent: empty\n\ndata: {\"type\":\"cut off\"")
	}, nil)
	var got []string
	err := c.Events(t.Context(), "x", func(e v1.Event) error {
		got = append(got, e.Type+e.Message+e.Status)
		return nil
	})
	if strings.Join(got, " ") != "progressone statusready" || !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestStreamPassesProblemsCallbackErrorsAndCancellationOn(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: {\"type\":\"status\"}\n\n") //nolint:errcheck // a test
		if strings.Contains(r.URL.Path, "/bad/") {
			io.WriteString(w, "event: error\ndata: {\"status\":409,\"kind\":\"conflict\",\"detail\":\"gone\",\"requestId\":\"r\"}\n\n") //nolint:errcheck // a test
			return
		}
		http.NewResponseController(w).Flush() //nolint:errcheck // a test
		<-r.Context().Done()
	}, nil)
	if err := c.Events(t.Context(), "bad", func(v1.Event) error { return nil }); !fault.Is(err, fault.Conflict) {
		t.Errorf("problem: got %v", err)
	}
	enough := errors.New("enough")
	if err := c.Events(t.Context(), "x", func(v1.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("callback: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Events(ctx, "x", func(v1.Event) error {
		cancel()
		return nil
	})
	if !fault.Is(err, fault.Canceled) {
		t.Errorf("cancel: got %v", err)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	l.Close() //nolint:errcheck // a test
	c, err := client.New(client.Options{URL: nobody})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context()); !errors.Is(err, client.ErrAbsent) || !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
		t.Errorf("nobody: got %v", err)
	}
	other := dial(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, nil) //nolint:errcheck // a test
	if err := other.Ready(t.Context()); !fault.Is(err, fault.Conflict) || errors.Is(err, client.ErrAbsent) {
		t.Errorf("another program: got %v", err)
	}
	ours := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req_1")
		io.WriteString(w, "ready\n") //nolint:errcheck // a test
	}, nil)
	if err := ours.Ready(t.Context()); err != nil {
		t.Errorf("ours: got %v", err)
	}
}

func TestNewRefusesWhatIsNoURL(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "localhost:3000", "ftp://x", "http://", "http://%zz"} {
		if _, err := client.New(client.Options{URL: u}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v", u, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1:3000": true, "localhost": true, "LOCALHOST:1": true, "[::1]:80": true, "127.9.9.9": true,
		"0.0.0.0:3000": false, "192.0.2.1": false, "localhost.evil": false, "": false,
	} {
		if client.Loopback(host) != want {
			t.Errorf("%q: want %v", host, want)
		}
	}
}
