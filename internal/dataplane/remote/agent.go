// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"microstax/internal/dataplane/route"
)

// The bounds of an agent.
const (
	backoffFirst = 100 * time.Millisecond // before the first attempt to connect again; doubles
	backoffMost  = 5 * time.Second        // and never longer
	reapplyEvery = 2 * time.Second        // before listeners that could not be opened are tried again
	maxLine      = 256 << 20              // bytes of one line from the server
	maxAnswer    = 1 << 20                // bytes of an answer to a POST
	postTimeout  = 30 * time.Second       // for one POST and its answer
)

// Plane is the data plane that an agent steers.
type Plane interface {
	Apply(ctx context.Context, t *route.Table) error
	Serving() []route.Serving
	Propagates(environment, service string) []string
}

// AgentOptions are what an Agent needs. All are required but Token.
type AgentOptions struct {
	Server  string // its URL, without /v1
	Token   string // bearer token
	Name    string // of this gateway, unique among those of the server
	Version string // of the program
	Dir     string // where the table and the key are kept
	Plane   Plane
	Spool   *Spool
	Dropped func() int64      // observations that the spool had no place for
	Keyed   func(key []byte)  // is told the redaction key before the first table is applied, and when it changes
	HTTP    http.RoundTripper // carries all requests
	Logger  *slog.Logger
}

// Agent keeps a data plane in step with its server.
type Agent struct {
	o       AgentOptions
	base    string
	started time.Time
	news    chan struct{} // capacity 1: there is something to report

	applying sync.Mutex // held while the plane gets a table, and while it is decided which

	mu      sync.Mutex // guards what follows
	table   *route.Table
	digest  string
	failure string // why table is not served whole
	key     []byte

	connected atomic.Bool   // to the server, which has said hello
	acked     atomic.Uint64 // the last frame that the server has taken
	sending   atomic.Bool   // the last attempt to send frames went well
}

// NewAgent checks the options. It does no I/O.
func NewAgent(o AgentOptions) (*Agent, error) {
	u, err := url.Parse(o.Server)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a server", o.Server)
	}
	return &Agent{
		o: o, base: strings.TrimRight(o.Server, "/") + "/v1/gateways/" + url.PathEscape(o.Name), started: time.Now(),
		news: make(chan struct{}, 1),
	}, nil
}

// Restore serves the table that was served last, and says whether there was one.
func (a *Agent) Restore(ctx context.Context) (bool, error) {
	key, err := storedKey(a.o.Dir)
	if err != nil || key == nil {
		return false, err
	}
	t, err := storedTable(a.o.Dir)
	if err != nil || t == nil {
		return false, err
	}
	a.learn(key)
	a.serve(ctx, t)
	return true, nil
}

// Serves is the revision of the table in force, 0 before there is one, and why it is not served whole.
func (a *Agent) Serves() (revision uint64, failure string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.table == nil {
		return 0, ""
	}
	return a.table.Revision, a.failure
}

// Connected says whether a server answers.
func (a *Agent) Connected() bool { return a.connected.Load() }

// Steer follows the server's tables and reports what is served, until ctx ends; then it takes its leave of the server.
func (a *Agent) Steer(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { a.follow(ctx) })
	wg.Go(func() { a.tell(ctx) })
	wg.Wait()
}

// follow keeps a connection to the server.
func (a *Agent) follow(ctx context.Context) {
	wait := backoffFirst
	said := ""
	for ctx.Err() == nil {
		hello, err := a.listen(ctx)
		a.connected.Store(false)
		if hello {
			wait, said = backoffFirst, ""
		}
		if ctx.Err() != nil {
			return
		}
		if err.Error() != said { // once, not at every attempt
			said = err.Error()
			a.o.Logger.Warn("no server; what is served stays", "server", a.o.Server, "error", err)
		}
		pause(ctx, wait/2+rand.N(wait)) //nolint:gosec // so that not all gateways come back at once
		wait = min(2*wait, backoffMost)
	}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// listen connects and takes tables until the connection ends. It says whether the server had said hello.
func (a *Agent) listen(ctx context.Context) (hello bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(Quiet, cancel) // ends what hangs
	defer silence.Stop()
	q := url.Values{"protocol": {strconv.Itoa(Protocol)}, "stream": {a.o.Spool.Stream()}}
	a.mu.Lock()
	if a.table != nil {
		q.Set("revision", strconv.FormatUint(a.table.Revision, 10))
		q.Set("digest", a.digest)
	}
	a.mu.Unlock()
	resp, err := a.do(ctx, http.MethodGet, "/table?"+q.Encode(), "", nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return false, refusal(resp)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		silence.Stop()
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return hello, fmt.Errorf("read line of the server: %w", err)
		}
		if !hello && (l.Type != LineHello || l.Hello == nil || l.Hello.Protocol != Protocol) {
			return false, errors.New("the server does not speak this program's version of the protocol")
		}
		if err := a.take(ctx, l); err != nil {
			return hello, err
		}
		hello = true
		silence.Reset(Quiet)
	}
	if err := lines.Err(); err != nil {
		return hello, fmt.Errorf("read from the server: %w", err)
	}
	return hello, errors.New("the server ended the connection")
}

// refusal is what the server says of a request that it does not carry out.
func refusal(resp *http.Response) error {
	var p struct{ Detail, Hint string }
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || json.Unmarshal(b, &p) != nil || p.Detail == "" {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	if p.Hint != "" {
		p.Detail += " (" + p.Hint + ")"
	}
	return fmt.Errorf("the server answered %d: %s", resp.StatusCode, p.Detail)
}

// take does what a line says. The context ends with the connection, which must not keep a table from being applied.
func (a *Agent) take(ctx context.Context, l Line) error {
	var t *route.Table
	switch l.Type {
	case LineHello:
		if len(l.Hello.Key) == 0 {
			return errors.New("the server sent no redaction key")
		}
		if err := a.learnNew(l.Hello.Key); err != nil {
			return err
		}
		a.o.Logger.Info("connected", "server", a.o.Server, "version", l.Hello.Version)
		a.connected.Store(true)
		a.report()
		return nil
	case LineTable:
		var err error
		if t, err = route.Decode(l.Table); err != nil {
			return err
		}
	case LineDelta:
		d, err := route.DecodeDelta(l.Delta)
		if err != nil {
			return err
		}
		if t, err = a.changed(d); err != nil {
			return err
		}
	default: // a beat, or what a newer server says
		return nil
	}
	a.serve(context.WithoutCancel(ctx), t)
	return nil
}

// changed is the table that a delta makes of the one in force. One that does not fit is forgotten for: the next connection
// gets a full table.
func (a *Agent) changed(d *route.Delta) (*route.Table, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.table == nil {
		return nil, errors.New("the server sent a change without a table before")
	}
	t, err := d.Apply(a.table)
	if err != nil {
		a.digest = ""
	}
	return t, err
}

// learnNew keeps a key that differs from the one that is known.
func (a *Agent) learnNew(key []byte) error {
	a.mu.Lock()
	known := bytes.Equal(a.key, key)
	a.mu.Unlock()
	if known {
		return nil
	}
	if err := storeKey(a.o.Dir, key); err != nil {
		return err
	}
	a.learn(key)
	return nil
}

func (a *Agent) learn(key []byte) {
	a.mu.Lock()
	a.key = key
	a.mu.Unlock()
	a.o.Keyed(key)
}

// serve applies a table, keeps it, and has it reported.
func (a *Agent) serve(ctx context.Context, t *route.Table) {
	digest, err := route.Digest(t)
	if err != nil {
		a.o.Logger.Error("routes are not served", "revision", t.Revision, "error", err)
		return
	}
	a.applying.Lock()
	defer a.applying.Unlock()
	err = a.o.Plane.Apply(ctx, t)
	failure := ""
	if err != nil {
		failure = err.Error()
		a.o.Logger.Error("routes are not served whole", "revision", t.Revision, "error", err)
	} else {
		a.o.Logger.Debug("routes are served", "revision", t.Revision, "listeners", len(t.Listeners))
	}
	a.mu.Lock()
	a.table, a.digest, a.failure = t, digest, failure
	a.mu.Unlock()
	if err := storeTable(a.o.Dir, t); err != nil {
		a.o.Logger.Error("routes would not survive a restart", "error", err)
	}
	a.report()
}

// report has the server told at once how it stands.
func (a *Agent) report() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// tell reports, and tries listeners again that could not be opened.
func (a *Agent) tell(ctx context.Context) {
	beat := time.NewTicker(Beat)
	defer beat.Stop()
	again := time.NewTicker(reapplyEvery)
	defer again.Stop()
	for {
		select {
		case <-a.news:
		case <-beat.C:
		case <-again.C:
			a.reapply(ctx)
			continue
		case <-ctx.Done():
			return
		}
		if a.connected.Load() {
			if err := a.post(ctx, "/serving", a.picture()); err != nil && ctx.Err() == nil {
				a.o.Logger.Debug("report to the server", "error", err)
			}
		}
	}
}

// reapply tries again what could not be opened.
func (a *Agent) reapply(ctx context.Context) {
	a.applying.Lock()
	defer a.applying.Unlock()
	a.mu.Lock()
	t, failed := a.table, a.failure != ""
	a.mu.Unlock()
	if !failed || a.o.Plane.Apply(ctx, t) != nil {
		return
	}
	a.mu.Lock()
	a.failure = ""
	a.mu.Unlock()
	a.report()
}

// picture is what the gateway says of itself.
func (a *Agent) picture() Report {
	a.mu.Lock()
	t := a.table
	r := Report{
		Stream: a.o.Spool.Stream(), Version: a.o.Version, Digest: a.digest, Error: a.failure, Started: a.started,
		Serving: a.o.Plane.Serving(), Spool: a.o.Spool.Report(),
	}
	a.mu.Unlock()
	r.Spool.Dropped = a.o.Dropped()
	if t == nil {
		return r
	}
	r.Revision = t.Revision
	var asked [][2]string
	for _, l := range t.Listeners {
		who := [2]string{l.Origin.Environment, l.Origin.Service}
		if l.Kind != route.Outgoing || slices.Contains(asked, who) {
			continue
		}
		asked = append(asked, who)
		if names := a.o.Plane.Propagates(who[0], who[1]); len(names) > 0 {
			r.Propagates = append(r.Propagates, Propagation{Environment: who[0], Service: who[1], Names: names})
		}
	}
	return r
}

// Leave tells the server that the gateway stops in order, if it answers.
func (a *Agent) Leave(ctx context.Context) error { return a.post(ctx, "/leave", a.picture()) }

// post sends a document.
func (a *Agent) post(ctx context.Context, path string, doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	resp, err := a.do(ctx, http.MethodPost, path, "application/json", b)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode/100 != 2 {
		return refusal(resp)
	}
	return nil
}

// do sends one request.
func (a *Agent) do(ctx context.Context, method, path, kind string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if a.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.o.Token)
	}
	resp, err := a.o.HTTP.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask server: %w", err)
	}
	return resp, nil
}
