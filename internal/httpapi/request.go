// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"microstax/internal/fault"
)

// bodyTimeout bounds how long a client may take to send a body.
const bodyTimeout = 30 * time.Second

type infoKey struct{}

// info is what is known of a request; only the goroutine that serves it writes to it.
type info struct {
	id    string
	route string // the pattern that matched; "" before that
}

// requestID is the id of the request that ctx belongs to, or "".
func requestID(ctx context.Context) string {
	if i, ok := ctx.Value(infoKey{}).(*info); ok {
		return i.id
	}
	return ""
}

// noteRoute remembers which route answers, for metrics: the paths themselves are unbounded.
func noteRoute(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i, ok := r.Context().Value(infoKey{}).(*info); ok {
			defer func() { i.route = r.Pattern }()
		}
		mux.ServeHTTP(w, r)
	})
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the status that writing without a header implies.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find Flush and the deadlines.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// observe gives every request its id, counts and logs it, and turns a panic into a problem.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.o.Now()
		about := &info{id: a.o.NewRequestID()}
		rid := about.id
		ctx := context.WithValue(r.Context(), infoKey{}, about)
		r = r.WithContext(ctx)
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("X-Request-Id", rid)
		rec.Header().Set("Cache-Control", "no-store")
		rec.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // the very value, as net/http compares it
				panic(p)
			}
			if p != nil {
				a.o.Logger.ErrorContext(ctx, "request handler panicked", slog.String("requestId", rid), slog.String("path", r.URL.Path),
					slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				if rec.status != 0 {
					panic(http.ErrAbortHandler) // half an answer must not look whole
				}
				refuse(rec, problem(ctx, http.StatusInternalServerError, fault.Internal, "a defect of the server stopped this request",
					"its log has the details under "+rid))
			}
			a.done(r, about, rec.status, a.o.Now().Sub(start))
		}()
		next.ServeHTTP(rec, r)
	})
}

// done counts and logs a request that has ended.
func (a *API) done(r *http.Request, about *info, status int, took time.Duration) {
	ctx := r.Context()
	switch {
	case status == 0 && ctx.Err() != nil:
		status = statusCanceled
	case status == 0:
		status = http.StatusOK
	}
	route := about.route
	if route == "" {
		route = "none"
	}
	a.metrics.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	a.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
	a.o.Logger.DebugContext(ctx, "request", slog.String("requestId", about.id), slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.Int("status", status), slog.Duration("took", took))
}

// readBody reads the body of a write, so that it is bounded, whole, and can be hashed for its idempotency key.
func (a *API) readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		conn := http.NewResponseController(w)
		conn.SetReadDeadline(a.o.Now().Add(bodyTimeout)) //nolint:errcheck // not every writer in tests has one
		limit := a.bodyLimit(r)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		conn.SetReadDeadline(time.Time{}) //nolint:errcheck // as above
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			refuse(w, problem(r.Context(), http.StatusRequestEntityTooLarge, fault.Invalid,
				"the request body is larger than "+strconv.FormatInt(limit, 10)+" bytes", ""))
			return
		case err != nil:
			refuse(w, problem(r.Context(), http.StatusBadRequest, fault.Invalid, "the request body ended early: "+err.Error(), ""))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
	})
}

type bodyKey struct{}

// bodyOf is the body that readBody has read, or nil.
func bodyOf(ctx context.Context) []byte {
	b, _ := ctx.Value(bodyKey{}).([]byte)
	return b
}
