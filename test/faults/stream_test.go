// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"microstax/test/faults/answers"
)

// moreForStreams is what streaming may add to the most memory that the server ever had: the first MiB of each body that
// is kept for comparison, for three sides, and what the garbage collector lets grow meanwhile.
const moreForStreams = 48 << 20

func TestImmenseBodiesAreStreamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{timeout: "100ms"}) // shadows need not see all of it
	n, before := w.calm()
	peak := w.peak(w.server.pid())
	const size = 1 << 30
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10}}

	var check answers.PatternCheck
	w.exchange(c, http.MethodGet, "/big/"+strconv.Itoa(size), nil, func(body io.Reader) {
		if _, err := io.Copy(&check, body); err != nil || check.N != size {
			t.Errorf("got %d bytes: %v", check.N, err)
		}
	})
	for _, known := range []int64{size, -1} { // with a length, and in chunks
		w.exchange(c, http.MethodPost, "/sink", &upload{answers.Pattern{Left: size / 2}, known / 2}, func(body io.Reader) {
			if said, err := io.ReadAll(body); string(said) != strconv.Itoa(size/2) {
				t.Errorf("orders got %s: %v", said, err)
			}
		})
	}
	if more := w.peak(w.server.pid()) - peak; more > moreForStreams {
		t.Errorf("the server had %d MiB more", more>>20)
	} else {
		t.Logf("the server had %d MiB more", more>>20)
	}
	w.all(n+3, before)
	if r := w.report(0); r.Traffic.Dropped["bodyTooLarge"] != 2 {
		t.Errorf("dropped %+v", r.Traffic.Dropped)
	}
}

// upload is a request body of a known length, or of none.
type upload struct {
	answers.Pattern
	length int64
}

func (w *world) exchange(c *http.Client, method, path string, body *upload, read func(io.Reader)) {
	w.t.Helper()
	var r io.Reader
	if body != nil {
		r = body
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.orders+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil && body.length > 0 {
		req.ContentLength = body.length
	}
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	if resp.StatusCode != http.StatusOK {
		w.t.Errorf("%s %s: %d", method, path, resp.StatusCode)
	}
	read(resp.Body)
}

func TestVerySlowReadersHoldNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	n, before := w.calm()
	d := w.drive("slow")
	const readers, size = 30, 24 << 20
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	bodies := make([]io.ReadCloser, readers)
	checks := make([]answers.PatternCheck, readers)
	for i := range readers {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/big/%d", w.orders, size), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // read below
		bodies[i] = resp.Body
		if _, err := io.CopyN(&checks[i], resp.Body, 1000); err != nil {
			t.Fatal(err)
		}
	}
	d.more(200) // meanwhile nobody reads
	if more := w.usage().resident - before.resident; more > moreForStreams+readers*(1<<20) {
		t.Errorf("%v MiB more while %d clients do not read", int(more)>>20, readers)
	}
	for i := range bodies {
		if _, err := io.Copy(&checks[i], bodies[i]); err != nil || checks[i].N != size {
			t.Errorf("reader %d got %d bytes: %v", i, checks[i].N, err)
		}
	}
	d.stop()
	d.none()
	d.written()
	w.all(n+d.ok.Load()+readers, before)
}
