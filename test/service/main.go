// SPDX-License-Identifier: Apache-2.0

// Command service is a small service that the tests start many times: flags say what it calls, which headers it hands on,
// and how it misbehaves. Its answer names it and what it called, so that one answer shows the way a request took.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	name, version string
	calls         list   // METHOD URL-of-a-service, called with the path of the request for every request
	repeat        int    // how often each of them is called
	forward       string // headers handed on: a list with commas
	notReady      bool
	die           bool
	ignoreTerm    bool
	children      int
	startAfter    string // the process waits until this file exists
	hang, crash   string // path that never answers; path at which the process ends
	noListen      bool   // never listens
	deaf          string // path at which it stops listening, and lives on
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

func parse() (options, error) {
	var o options
	flag.StringVar(&o.name, "name", "service", "its name")
	flag.StringVar(&o.version, "version", "v1", "its version")
	flag.Var(&o.calls, "call", "METHOD URL: called for every request, with the path of the request")
	flag.IntVar(&o.repeat, "repeat", 1, "how often each is called")
	flag.StringVar(&o.forward, "forward", "", "headers that are handed on")
	flag.BoolVar(&o.notReady, "not-ready", false, "GET /ready answers 503")
	flag.BoolVar(&o.die, "die", false, "print two lines and end with status 7")
	flag.BoolVar(&o.ignoreTerm, "ignore-term", false, "do not end at SIGTERM")
	flag.IntVar(&o.children, "children", 0, "processes of its own")
	flag.StringVar(&o.startAfter, "start-after", "", "listen only when this file exists")
	flag.StringVar(&o.hang, "hang", "", "path that never gets an answer")
	flag.StringVar(&o.crash, "crash", "", "path that ends the process")
	flag.StringVar(&o.deaf, "deaf", "", "path that makes it stop listening")
	flag.BoolVar(&o.noListen, "no-listen", false, "never listen")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", flag.Args())
	}
	return o, nil
}

func run() error {
	o, err := parse()
	if err != nil {
		return err
	}
	fmt.Printf("%s %s starts\n", o.name, o.version)
	if o.die {
		fmt.Fprintln(os.Stderr, "cannot reach the moon")
		os.Exit(7)
	}
	if o.ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if !o.ignoreTerm {
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
		defer stop()
	}
	for range o.children {
		if err := exec.Command("sleep", "3600").Start(); err != nil { //nolint:noctx // the point is that nobody ends it
			return err
		}
	}
	if o.startAfter != "" {
		await(ctx, o.startAfter)
	}
	if o.noListen {
		<-ctx.Done()
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")))
	if err != nil {
		return err
	}
	return serve(ctx, ln, o)
}

// await polls for a file.
func await(ctx context.Context, path string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func serve(ctx context.Context, ln net.Listener, o options) error {
	s := &service{options: o, counts: map[string]int{}}
	hs := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.goDeaf = func() { hs.Close() } //nolint:errcheck // nobody listens either way
	go func() {
		<-ctx.Done()
		hs.Close() //nolint:errcheck // it ends
	}()
	err := hs.Serve(ln)
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ctx.Done()
	return nil
}

// service answers.
type service struct {
	options
	goDeaf func()
	mu     sync.Mutex
	counts map[string]int // writes that came, by path
}

// answer is what it says of a request.
type answer struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Key     string   `json:"key,omitempty"`     // x-msx-env as it came
	Baggage string   `json:"baggage,omitempty"` // as it came
	Calls   []answer `json:"calls,omitempty"`
	Error   string   `json:"error,omitempty"`
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ready":
		if s.notReady {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return
	case r.URL.Path == "/counts":
		s.mu.Lock()
		defer s.mu.Unlock()
		json.NewEncoder(w).Encode(s.counts) //nolint:errcheck,errchkjson // the caller sees it
		return
	case s.hang != "" && strings.HasPrefix(r.URL.Path, s.hang):
		<-r.Context().Done()
		return
	case s.deaf != "" && strings.HasPrefix(r.URL.Path, s.deaf):
		s.goDeaf()
		return
	case s.crash != "" && strings.HasPrefix(r.URL.Path, s.crash):
		fmt.Fprintln(os.Stderr, "out of luck")
		os.Exit(9)
	}
	if r.Method == http.MethodPost {
		s.mu.Lock()
		s.counts[r.URL.Path]++
		s.mu.Unlock()
	}
	a := answer{Service: s.name, Version: s.version, Key: r.Header.Get("X-Msx-Env"), Baggage: r.Header.Get("Baggage")}
	for _, c := range s.calls {
		for range s.repeat {
			a.Calls = append(a.Calls, s.call(r, c))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a) //nolint:errcheck,errchkjson // the caller sees it
}

// call asks another service, and hands on what it is told to.
func (s *service) call(in *http.Request, what string) answer {
	method, base, _ := strings.Cut(what, " ")
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader(`{"amount": 5}`)
	}
	req, err := http.NewRequestWithContext(in.Context(), method, base+in.URL.Path, body)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for h := range strings.SplitSeq(s.forward, ",") {
		if v := in.Header.Get(h); h != "" && v != "" {
			req.Header.Set(h, v)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return answer{Error: fmt.Sprintf("status %d, %v", resp.StatusCode, err)}
	}
	return a
}
