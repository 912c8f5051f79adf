// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/observation"
)

// short is a limit that a test waits for; nothing is asserted about how long it takes.
const short = 50 * time.Millisecond

// linger sends bytes, keeps its direction open, and returns all that comes until the other side ends.
func linger(t *testing.T, addr, said string) string {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(nc, said); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("the connection is not ended: %v (have %q)", err, got)
	}
	return string(got)
}

func TestSlowClientsMeetTheirLimits(t *testing.T) {
	t.Parallel()
	const whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	rows := []struct {
		name, said, want string
		limits           proxy.Limits
	}{
		{"head", "GET / HTTP/1.1\r\nHost: ", "HTTP/1.1 408 Request Timeout\r\n", proxy.Limits{HeadTimeout: short}},
		{"head behind an answer", whole + "GET", "HTTP/1.1 408 Request Timeout\r\n", proxy.Limits{HeadTimeout: short}},
		{"nothing at all", "", "", proxy.Limits{IdleTimeout: short}},
		{"idle behind an answer", whole, "ok", proxy.Limits{IdleTimeout: short}},
		{"body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "", proxy.Limits{BodyTimeout: short}},
		{"chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "", proxy.Limits{BodyTimeout: short}},
		{"large head", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 3000) + "\r\n\r\n", "HTTP/1.1 431 ", proxy.Limits{MaxHead: 2048}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			up := backend(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil {
					io.WriteString(w, "ok")
				}
			})
			addr := proxytest.Addr(t)
			proxytest.Start(t, proxytest.NewCollector(), false, row.limits, proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{}))
			got := linger(t, addr, row.said)
			if !strings.Contains(got, row.want) || row.want == "" && strings.Contains(got, " 200 ") {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestAnswersThatDoNotComeInTimeAre504WhereThereIsALimit(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	answer := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/slow" { // a body may pause for as long as it likes
			w.(http.Flusher).Flush()
			pause := time.NewTimer(4 * short)
			defer pause.Stop()
			<-pause.C
			io.WriteString(w, "late")
			return
		}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}
	for name, second := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := backend
			if second {
				start = secondBackend
			}
			addr, c := proxytest.Addr(t), proxytest.NewCollector()
			up := start(t, answer)
			table := proxytest.Mirrored(addr, up, up, "", blueprint.Shadow{Exclude: []blueprint.Match{{Path: "/slow"}}})
			table.Listeners[0].Default.HTTP2 = second
			p := proxytest.Start(t, c, false, proxy.Limits{AnswerTimeout: short}, table)
			client := webClient(t, second, nil)
			for _, body := range []string{"", "hello", strings.Repeat("large", 100_000)} {
				if resp, got := get(t, client, "POST", "http://"+addr+"/never", body); resp.StatusCode != 504 || !strings.Contains(got, "in time") {
					t.Errorf("%d bytes: %d %q", len(body), resp.StatusCode, got)
				}
			}
			if resp, got := get(t, client, "POST", "http://"+addr+"/slow", "x"); resp.StatusCode != 200 || got != "late" {
				t.Errorf("an answer that had begun: %d %q", resp.StatusCode, got)
			}
			c.Until(t, func() bool { return c.Dropped()[observation.NoBaseline] == 3 })
			if p.Stats().UpstreamErrors != 3 {
				t.Errorf("%+v", p.Stats())
			}
		})
	}
}
