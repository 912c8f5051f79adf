// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	v1 "microstax/api/v1"
)

func TestGatewayFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	var once, twice sync.Once
	letGo := func() { twice.Do(func() { close(release) }) }
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			once.Do(func() { close(begun) })
			<-release
		}
		io.WriteString(w, "late")
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(letGo)
	w := newFleet(t)
	g := w.gateway("one")
	// Creating waits for the gateway.
	url := endpoint(t, w.baseline(fmt.Sprintf("name: shop\nservices:\n  slow: {address: %q, expose: true}\n", strings.TrimPrefix(slow.URL, "http://"))))

	type outcome struct {
		body string
		err  error
	}
	got := make(chan outcome, 1)
	go func() {
		body, err := fetch(context.WithoutCancel(t.Context()), url+"/slow")
		got <- outcome{body, err}
	}()
	select {
	case <-begun:
	case o := <-got:
		t.Fatalf("answered before it was asked for: %q, %v", o.body, o.err)
	}
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.await("the gateway takes no more connections", func() bool {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			c.Close() //nolint:errcheck // it came too early
		}
		return err != nil
	})
	if ready(t.Context(), g.admin+"/readyz") {
		t.Error("a gateway that stops says that it is ready")
	}
	select {
	case o := <-got:
		t.Fatalf("the request under way ended early: %q, %v", o.body, o.err)
	case <-g.exited:
		t.Fatal("the gateway ended before the request under way")
	default:
	}
	letGo()
	if o := <-got; o.err != nil || o.body != "late" {
		t.Errorf("the request under way got %q, %v", o.body, o.err)
	}
	<-g.exited
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d: %s", code, g.err.String())
	}
	if s := w.gateways()["one"].State; s != "stopped" {
		t.Errorf("the server takes the gateway for %s", s)
	}
}

func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// TestGatewayWithASmallSpool lets more be observed than finds a place while the server is away.
func TestGatewayWithASmallSpool(t *testing.T) {
	t.Parallel()
	w := newFleet(t)
	w.gateway("one", "--spool-size", "64KiB")
	_, _, url := w.pair()
	kill(t, w.server().PID)
	const sent = 300
	for i := range sent {
		if code := send(t, "GET", fmt.Sprintf("%s/item/%d", url, i), "", "", "Cookie", fmt.Sprintf("sid=s%d", i)); code != http.StatusOK {
			t.Fatalf("request %d: %d", i, code)
		}
	}
	w.run("env", "list")
	w.served("one")
	r := w.report("pr-1", sent)
	lost := r.Traffic.Dropped["spoolFull"]
	if lost == 0 || r.Traffic.Compared == 0 || r.Traffic.Compared+lost != sent {
		t.Errorf("%d compared, dropped: %v", r.Traffic.Compared, r.Traffic.Dropped)
	}
	if r.Verdict.Decision != "hold" || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "spool") {
		t.Errorf("verdict %+v", r.Verdict)
	}
	if g := w.gateways()["one"]; g.Spool.Dropped != lost {
		w.await("the gateway has told what it dropped", func() bool { return w.gateways()["one"].Spool.Dropped == lost })
	}
}

// TestSecondGatewayTakesOver has two on one machine, of which only one can have an address.
func TestSecondGatewayTakesOver(t *testing.T) {
	t.Parallel()
	w := newFleet(t)
	one := w.gateway("one")
	_, _, url := w.pair()
	w.gateway("two")
	w.await("the second says that it cannot serve", func() bool {
		g := w.gateways()["two"]
		return g.State == "connected" && strings.Contains(g.Error, "address already in use")
	})
	if s := w.status("shop"); s.Status != "ready" {
		t.Errorf("served by one of two the environment is %s: %s", s.Status, s.Reason)
	}
	stop := traffic(t, url, 50)
	kill(t, one.cmd.Process.Pid)
	w.await("the second serves", func() bool {
		g := w.gateways()["two"]
		return g.Error == "" && g.Behind == 0 && w.gateways()["one"].State == "lost"
	})
	ask(t, "GET", url+"/item/1")
	sent := stop() + 1
	w.await("the environment is ready again", func() bool { return w.status("shop").Status == "ready" })
	w.run("gateway", "forget", "one")
	if _, there := w.gateways()["one"]; there {
		t.Error("a forgotten gateway is listed")
	}
	r := w.settled("pr-1")
	lost := r.Traffic.Dropped["crash"]
	if r.Traffic.Compared == 0 || r.Traffic.Received > int64(sent+4) || r.Traffic.Compared+lost != r.Traffic.Received {
		t.Errorf("%d sent: %d received, %d compared, dropped %v", sent, r.Traffic.Received, r.Traffic.Compared, r.Traffic.Dropped)
	}
}

func TestGatewayThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said := w.refused(2, "gateway", "--name", "one")
	if !strings.Contains(said, "gateway.secret") || !strings.Contains(said, "MICROSTAX_API_KEY") {
		t.Errorf("without a server: %s", said)
	}
	if said := w.refused(2, "gateway", "--token-file", filepath.Join(w.dir, "none")); !strings.Contains(said, "none") {
		t.Errorf("without the file of the token: %s", said)
	}
	w.run("server", "start") // with the data plane inside
	if said := w.refused(1, "gateway", "list"); !strings.Contains(said, "--dataplane external") {
		t.Errorf("gateways of a server without any: %s", said)
	}
	if said := w.refused(2, "serve", "--dataplane", "elsewhere"); !strings.Contains(said, "embedded") {
		t.Errorf("a data plane elsewhere: %s", said)
	}

	f := newFleet(t)
	var missing *v1.Problem
	for _, header := range []string{"", "Bearer wrong"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.api+"/v1/gateways/spy/table?protocol=1&stream=s", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // read
		if err != nil || resp.StatusCode != http.StatusUnauthorized || strings.Contains(string(body), `"key"`) {
			t.Errorf("with %q: %s %s %v", header, resp.Status, body, err)
		}
		problem := parse[v1.Problem](t, string(body))
		missing = &problem
	}
	if !strings.Contains(missing.Hint, "MICROSTAX_API_KEY") {
		t.Errorf("hint %q", missing.Hint)
	}
	f.gateway("one")
	f.await("it is connected", func() bool { return f.gateways()["one"].State == "connected" })
	same := append([]string{}, f.vars...)
	if _, said, code := microstax(t, same, f.dir, "gateway", "--name", "one", "--spool", filepath.Join(f.home, "gateways", "one")); code != 1 || !strings.Contains(said, "another gateway uses") {
		t.Errorf("a second gateway in one folder: exit code %d: %s", code, said)
	}
}
