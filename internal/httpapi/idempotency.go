// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"container/list"
	"crypto/sha256"
	"net/http"
	"sync"

	"microstax/internal/fault"
)

const (
	// maxResults is how many results are kept for idempotency keys; the oldest goes first.
	maxResults = 1024
	// maxResultBody is the largest answer kept, in bytes; a repeat of a larger one is a conflict rather than a second write.
	maxResultBody = 64 << 10
	maxKey        = 255 // bytes
)

// results remembers the answers to writes by idempotency key. Answers that a repeat might better (5xx, canceled) are not kept.
type results struct {
	max int

	mu    sync.Mutex
	order *list.List               // of *result, oldest first; guarded by mu
	byKey map[string]*list.Element // guarded by mu
}

// result is one write. Its fields below done are written before done closes and never after.
type result struct {
	key  string
	hash [sha256.Size]byte
	done chan struct{}

	kept     bool
	tooLarge bool
	status   int
	header   http.Header
	body     []byte
}

func newResults(size int) *results {
	return &results{max: size, order: list.New(), byKey: map[string]*list.Element{}}
}

// claim gives the result under key, and whether the caller has to produce it.
func (s *results) claim(key string, hash [sha256.Size]byte) (*result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byKey[key]; ok {
		return e.Value.(*result), false
	}
	for s.order.Len() >= s.max {
		s.drop(s.order.Front())
	}
	res := &result{key: key, hash: hash, done: make(chan struct{})}
	s.byKey[key] = s.order.PushBack(res)
	return res, true
}

// settle publishes a result, and forgets it when it is not kept.
func (s *results) settle(res *result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byKey[res.key]; ok && e.Value == res && !res.kept {
		s.drop(e)
	}
	close(res.done)
}

// drop removes an element; mu is held.
func (s *results) drop(e *list.Element) {
	s.order.Remove(e)
	delete(s.byKey, e.Value.(*result).key)
}

// capture copies an answer while it is sent.
type capture struct {
	http.ResponseWriter
	res *result
}

// WriteHeader copies status and header.
func (c *capture) WriteHeader(status int) {
	if c.res.status == 0 {
		c.res.status = status
		c.res.header = c.Header().Clone()
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write copies the body up to the limit.
func (c *capture) Write(b []byte) (int, error) {
	if c.res.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	if len(c.res.body)+len(b) > maxResultBody {
		c.res.tooLarge, c.res.body = true, nil
	} else if !c.res.tooLarge {
		c.res.body = append(c.res.body, b...)
	}
	return c.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the deadlines.
func (c *capture) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// idempotent answers a repeated write with the first answer.
func (a *API) idempotent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if key == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKey {
			refuse(w, problem(r.Context(), http.StatusBadRequest, fault.Invalid, "the Idempotency-Key is longer than 255 bytes", ""))
			return
		}
		hash := sha256.Sum256(append([]byte(r.Method+" "+r.URL.RequestURI()+"\n"), bodyOf(r.Context())...))
		for {
			res, mine := a.results.claim(key, hash)
			if mine {
				a.produce(w, r, next, res)
				return
			}
			if res.hash != hash {
				refuse(w, problem(r.Context(), http.StatusConflict, fault.Conflict, "this Idempotency-Key was used for another request",
					"use a new key for every new request"))
				return
			}
			select {
			case <-res.done:
			case <-r.Context().Done():
				return
			}
			if res.kept {
				replay(w, r, res)
				return
			}
			// The first try left no answer worth keeping: this one is the first now.
		}
	})
}

// produce runs the write and keeps what it answered. A handler that panics still settles.
func (a *API) produce(w http.ResponseWriter, r *http.Request, next http.Handler, res *result) {
	defer a.results.settle(res)
	next.ServeHTTP(&capture{ResponseWriter: w, res: res}, r)
	res.kept = res.status != 0 && res.status < http.StatusInternalServerError && res.status != statusCanceled
}

// replay sends a kept answer again; it keeps the first request's id in its body.
func replay(w http.ResponseWriter, r *http.Request, res *result) {
	if res.tooLarge {
		refuse(w, problem(r.Context(), http.StatusConflict, fault.Conflict, "the request was carried out, and its answer is too large to be repeated",
			"read the result with GET"))
		return
	}
	for _, name := range []string{"Content-Type", "Location"} {
		if v := res.header.Values(name); len(v) > 0 {
			w.Header()[name] = v
		}
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(res.status)
	w.Write(res.body) //nolint:errcheck // the client has gone
}
