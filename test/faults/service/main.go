// SPDX-License-Identifier: Apache-2.0

// Command service plays every service of the fault suite, by -name: stock, which keeps a journal of what it was made to
// do; orders, which calls stock; front, which calls orders. Its answers are those of package answers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"microstax/test/faults/answers"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// service is one process.
type service struct {
	version, next string
	journal       *os.File
	mu            sync.Mutex // guards journal
	client        *http.Client
	hanging       atomic.Int64 // requests to /hang that nobody has given up
	live          atomic.Int64 // requests answered or under way
}

func run() error {
	var s service
	flag.StringVar(&s.version, "version", "v1", "v2 answers differently now and then")
	flag.StringVar(&s.next, "next", "", "URL of the service that is called")
	journal := flag.String("journal", "", "file that every reservation is noted in")
	flag.String("name", "", "for people")
	flag.Parse()
	if *journal != "" {
		var err error
		if s.journal, err = os.OpenFile(*journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
	}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")))
	if err != nil {
		return err
	}
	hs := &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		hs.Close() //nolint:errcheck // it ends
	}()
	if err := hs.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *service) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	m.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d %d", s.hanging.Load(), s.live.Load())
	})
	m.HandleFunc("GET /item/{id}", s.item)
	m.HandleFunc("GET /stock/{id}", func(w http.ResponseWriter, r *http.Request) { say(w, 200, answers.Stock(r.PathValue("id"))) })
	m.HandleFunc("POST /reserve/{id}", s.reserve)
	m.HandleFunc("GET /full/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.with(w, r, http.MethodGet, "/stock/", func(said string) string {
			return fmt.Sprintf(`{"id":%q,"stock":%s}`, r.PathValue("id"), said)
		})
	})
	m.HandleFunc("POST /order/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.with(w, r, http.MethodPost, "/reserve/", func(said string) string {
			return fmt.Sprintf(`{"ordered":%q,"by":%s}`, r.PathValue("id"), said)
		})
	})
	m.HandleFunc("GET /page/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.with(w, r, http.MethodGet, "/full/", func(said string) string { return said })
	})
	m.HandleFunc("POST /echo", echo)
	m.HandleFunc("/odd/{what}", odd)
	m.HandleFunc("GET /big/{n}", big)
	m.HandleFunc("POST /sink", sink)
	m.HandleFunc("GET /hang", s.hang)
	m.HandleFunc("GET /cut/{how}", cut)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" && r.URL.Path != "/state" {
			s.live.Add(1)
		}
		m.ServeHTTP(w, r)
	})
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body) //nolint:errcheck // the caller sees it
}

func (s *service) item(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	status, body := answers.Item(id)
	if s.version != "v1" && answers.Odd(id) {
		body = strings.Replace(body, `"id"`, `"ID"`, 1)
	}
	say(w, status, body)
}

func (s *service) reserve(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	_, err := fmt.Fprintln(s.journal, id)
	s.mu.Unlock()
	if err != nil {
		say(w, 500, err.Error())
		return
	}
	say(w, 200, answers.Reserved(id))
}

// with asks the next service about the same id, and answers with what came of it; 502 when nothing did.
func (s *service) with(w http.ResponseWriter, r *http.Request, method, path string, answer func(string) string) {
	req, err := http.NewRequestWithContext(r.Context(), method, s.next+path+r.PathValue("id"), http.NoBody)
	if err != nil {
		say(w, 500, err.Error())
		return
	}
	for _, h := range []string{"Traceparent", "X-User"} {
		if v := r.Header.Get(h); v != "" {
			req.Header.Set(h, v)
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		say(w, 502, fmt.Sprintf(`{"error":"the next service cannot be reached","why":%q}`, err.Error()))
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read below
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		say(w, 502, fmt.Sprintf(`{"error":"the next service answered %d","said":%q}`, resp.StatusCode, said))
		return
	}
	say(w, 200, answer(string(said)))
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	say(w, 200, answers.Echoed(body))
}

// odd answers in the ways that proxies get wrong.
func odd(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("what") {
	case "nocontent":
		w.WriteHeader(http.StatusNoContent)
	case "notmodified":
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(http.StatusNotModified)
	case "hints":
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		say(w, 200, `{"after":"hints"}`)
	case "length":
		w.Header().Set("Content-Length", "12345")
		if r.Method != http.MethodHead {
			io.WriteString(w, strings.Repeat("x", 12345)) //nolint:errcheck // the caller sees it
		}
	case "trailer":
		w.Header().Set("Trailer", "X-Sum")
		for range 3 {
			io.WriteString(w, "part\n")           //nolint:errcheck // the caller sees it
			http.NewResponseController(w).Flush() //nolint:errcheck // likewise
		}
		w.Header().Set("X-Sum", "15")
	case "refuse": // without reading the body
		w.Header().Set("Connection", "close")
		say(w, http.StatusRequestEntityTooLarge, `{"error":"too large"}`)
	default:
		say(w, 404, "{}")
	}
}

func big(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil {
		say(w, 400, err.Error())
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	io.Copy(w, &answers.Pattern{Left: n}) //nolint:errcheck // the caller sees it
}

func sink(w http.ResponseWriter, r *http.Request) {
	var c answers.PatternCheck
	if _, err := io.Copy(&c, r.Body); err != nil {
		say(w, 400, err.Error())
		return
	}
	say(w, 200, strconv.FormatInt(c.N, 10))
}

// hang answers only when the client gives up.
func (s *service) hang(_ http.ResponseWriter, r *http.Request) {
	s.hanging.Add(1)
	defer s.hanging.Add(-1)
	<-r.Context().Done()
}

// cut ends the connection in the middle of an answer: by a reset, by an ordinary end, or before anything was said.
func cut(w http.ResponseWriter, r *http.Request) {
	nc, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer nc.Close() //nolint:errcheck // that is the purpose
	switch r.PathValue("how") {
	case "none":
	case "chunk":
		buf.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf") //nolint:errcheck // likewise
	case "garbage":
		buf.WriteString("this is not HTTP\r\n\r\n") //nolint:errcheck // likewise
	default:
		buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf") //nolint:errcheck // likewise
	}
	buf.Flush() //nolint:errcheck // likewise
	if tc, ok := nc.(*net.TCPConn); ok && r.PathValue("how") == "reset" {
		tc.SetLinger(0) //nolint:errcheck // likewise
	}
}
