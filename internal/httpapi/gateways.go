// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "microstax/api/v1"
	"microstax/internal/control/gateways"
	"microstax/internal/dataplane/remote"
	"microstax/internal/fault"
)

// gateways are the routes about gateways, and those that gateways call.
func (a *API) gateways() {
	tags := []string{"gateways"}
	register(a, huma.Operation{
		OperationID: "listGateways", Method: http.MethodGet, Path: "/gateways",
		Summary: "List the gateways that were heard of since the server started", Tags: tags,
	}, func(ctx context.Context, _ *struct{}) (*answer[[]v1.Gateway], error) {
		if a.o.Gateways == nil {
			return nil, embedded("list gateways")
		}
		return reply(ctx, a.o.Gateways.List()), nil
	})
	register(a, huma.Operation{
		OperationID: "forgetGateway", Method: http.MethodDelete, Path: "/gateways/{name}", DefaultStatus: http.StatusNoContent,
		Summary: "Drop a gateway that is gone for good; what it had in flight is counted as lost", Tags: tags,
	}, func(ctx context.Context, in *gatewayNamed) (*struct{}, error) {
		if a.o.Gateways == nil {
			return nil, embedded("forget gateway")
		}
		return nil, a.o.Gateways.Forget(ctx, in.Name)
	})
	a.gatewayRoute("GET", "/table", a.gatewayTable)
	a.gatewayRoute("POST", "/serving", a.gatewayReport(false))
	a.gatewayRoute("POST", "/leave", a.gatewayReport(true))
	a.gatewayRoute("POST", "/observations", a.gatewayObservations)
}

// gatewayNamed is a write to one gateway.
type gatewayNamed struct {
	Keyed
	Name string `path:"name"`
}

func embedded(op string) error {
	return fault.Errorf(op, fault.Conflict, "this server runs the data plane itself").
		WithHint("start it with: microstax serve --dataplane external")
}

// gatewayRoute adds a route that gateways alone call. They have to show the API's token, or, where there is none, the secret
// that lies in the server's data directory: they get the key of the redaction.
func (a *API) gatewayRoute(method, path string, handle func(w http.ResponseWriter, r *http.Request) error) {
	want := sha256.Sum256([]byte(a.o.GatewaySecret))
	a.mux.HandleFunc(method+" "+prefix+"/gateways/{name}"+path, func(w http.ResponseWriter, r *http.Request) {
		if a.o.Gateways == nil {
			refuse(w, a.translate(r.Context(), embedded("connect gateway")).doc)
			return
		}
		if a.o.Token == "" {
			_, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			got := sha256.Sum256([]byte(strings.TrimSpace(secret)))
			if a.o.GatewaySecret == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				refuse(w, problem(r.Context(), http.StatusUnauthorized, fault.Invalid, "the gateway's secret is missing or wrong",
					"give both server and gateway MICROSTAX_API_KEY, or run the gateway with the server's --data-dir"))
				return
			}
		}
		if err := handle(w, r); err != nil {
			refuse(w, a.translate(r.Context(), err).doc)
		}
	})
}

// gatewayTable sends the routing table and its changes, line by line, for as long as the gateway listens.
func (a *API) gatewayTable(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	c := gateways.Caller{Name: r.PathValue("name"), Stream: q.Get("stream"), Digest: q.Get("digest"), Address: r.RemoteAddr}
	protocol, err := number(q, "protocol")
	if err != nil {
		return err
	}
	c.Protocol = int(min(protocol, 1<<16)) //nolint:gosec // bounded
	if c.Revision, err = number(q, "revision"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // ends with this call
		select {
		case <-a.draining:
			cancel()
		case <-stop:
		}
	}()
	conn := http.NewResponseController(w)
	began := false
	err = a.o.Gateways.Tables(ctx, c, func(l remote.Line) error {
		b, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("encode line: %w", err)
		}
		if !began {
			began = true
			w.Header().Set("Content-Type", remote.LinesType)
			w.Header().Set("X-Accel-Buffering", "no") // nginx would hold lines back
		}
		conn.SetWriteDeadline(time.Now().Add(sendTimeout)) //nolint:errcheck // not every writer in tests has one
		if _, err := w.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write line: %w", err)
		}
		return conn.Flush()
	})
	if began {
		return nil // the gateway sees the end of the stream, and why does not concern it
	}
	return err
}

// number reads an optional number of the query.
func number(q url.Values, name string) (uint64, error) {
	v := q.Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, fault.Errorf("read request", fault.Invalid, "%s=%q is not a number", name, v)
	}
	return n, nil
}

// gatewayReport takes what a gateway says of itself, the last time when it leaves.
func (a *API) gatewayReport(leaves bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var rep remote.Report
		if err := json.Unmarshal(bodyOf(r.Context()), &rep); err != nil {
			return fault.E("read report of gateway", fault.Invalid, err)
		}
		if err := a.o.Gateways.Report(r.PathValue("name"), rep, leaves); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// gatewayObservations takes a batch of frames.
func (a *API) gatewayObservations(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var skip *uint64
	if q.Has("skip") {
		n, err := number(q, "skip")
		if err != nil {
			return err
		}
		skip = &n
	}
	out, whole, err := a.o.Gateways.Observed(r.Context(), r.PathValue("name"), q.Get("stream"), skip, bodyOf(r.Context()))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if !whole {
		w.WriteHeader(http.StatusConflict)
	}
	json.NewEncoder(w).Encode(out) //nolint:errcheck,errchkjson // the gateway has gone
	return nil
}

// bodyLimit is how many bytes the body of a request may have. A frame holds an observation whole.
func (a *API) bodyLimit(r *http.Request) int64 {
	if strings.HasPrefix(r.URL.Path, prefix+"/gateways/") && strings.HasSuffix(r.URL.Path, "/observations") {
		return max(a.o.MaxBody, remote.MaxFrame+1<<20)
	}
	return a.o.MaxBody
}
