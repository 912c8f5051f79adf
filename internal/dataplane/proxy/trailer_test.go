// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/dataplane/proxy"
	"microstax/internal/dataplane/proxytest"
	"microstax/internal/exchange"
)

func TestTrailersOfRequestsReachEverybody(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, body := range []string{"", "hello"} {
			t.Run(fmt.Sprintf("%s %q", proto, body), func(t *testing.T) {
				t.Parallel()
				second := proto == "HTTP/2.0"
				start := backend
				if second {
					start = secondBackend
				}
				tell := func(w http.ResponseWriter, r *http.Request) {
					got, _ := io.ReadAll(r.Body)
					w.Header()["Date"] = nil
					fmt.Fprintf(w, "%q and then %q", got, r.Trailer["X-Sum"])
				}
				addr, c := proxytest.Addr(t), proxytest.NewCollector()
				table := proxytest.Mirrored(addr, start(t, tell), start(t, tell), start(t, tell), blueprint.Shadow{})
				table.Listeners[0].Default.HTTP2 = second
				proxytest.Start(t, c, false, proxy.Limits{}, table)
				req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/", io.MultiReader(strings.NewReader(body)))
				if err != nil {
					t.Fatal(err)
				}
				req.Trailer = http.Header{"X-Sum": {"5", "6"}}
				resp, err := webClient(t, second, nil).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				want := fmt.Sprintf("%q and then %q", body, []string{"5", "6"})
				if string(got) != want {
					t.Errorf("the baseline got %s, want %s", got, want)
				}
				o := c.WaitFor(t, 1)[0]
				for _, x := range []*exchange.Exchange{&o.Candidate, o.Control} {
					if got := string(x.Response.Body.Data); got != want {
						t.Errorf("a shadow got %s %s, want %s", got, x.Error, want)
					}
				}
				if sum, ok := exchange.Get(o.Baseline.Request.Trailers, "x-sum"); !ok || sum != "5" {
					t.Errorf("captured trailers %v", o.Baseline.Request.Trailers)
				}
			})
		}
	}
}
