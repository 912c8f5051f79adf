// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	api "microstax/api/v1"
	"microstax/internal/blueprint"
	"microstax/internal/engine/stats"
	"microstax/internal/engine/verdict"
)

func good() verdict.Evidence {
	return verdict.Evidence{
		Calibrated: true,
		Traffic:    api.Traffic{Received: 5000, Compared: 5000, Dropped: map[string]int64{}},
		Services: []verdict.Service{{
			Name: "orders", Visits: stats.Tri{Zero: 5000}, Latency: stats.Tri{Pos: 200, Neg: 4800}, Compared: 5000, Units: 40,
		}},
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	confirmed := verdict.Finding{ID: "fnd_1", Severity: "breaking", Summary: "tax is missing in GET /cart", Count: 31,
		Compared: 31, LogE: 21.5, Confirmed: true, Open: true}
	for _, c := range []struct {
		name string
		edit func(*verdict.Evidence)
		want string
		says string
	}{
		{"clean evidence promotes", func(*verdict.Evidence) {}, "promote", "at most 5 %"},
		{"nothing received is insufficient", func(e *verdict.Evidence) { *e = verdict.Evidence{Calibrated: true} }, "insufficient", "gateway"},
		{"few requests are insufficient", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Compared = 100, 100
			e.Services[0].Compared, e.Services[0].Visits = 100, stats.Tri{Zero: 100}
		}, "insufficient", "About 3,541 more requests"},
		{"a confirmed finding holds", func(e *verdict.Evidence) { e.Findings = []verdict.Finding{confirmed} }, "hold", "31 of 31"},
		{"an accepted finding does not", func(e *verdict.Evidence) {
			f := confirmed
			f.Open = false
			e.Findings = []verdict.Finding{f}
		}, "promote", ""},
		{"a suspected finding does not", func(e *verdict.Evidence) {
			f := confirmed
			f.Confirmed = false
			e.Findings = []verdict.Finding{f}
		}, "promote", ""},
		{"an info finding does not", func(e *verdict.Evidence) {
			f := confirmed
			f.Severity = "info"
			e.Findings = []verdict.Finding{f}
		}, "promote", ""},
		{"differences above the limit hold without a finding", func(e *verdict.Evidence) {
			e.Services[0].Visits = stats.Tri{Zero: 4900, Pos: 100}
		}, "hold", "no single finding"},
		{"no control is never promoted", func(e *verdict.Evidence) { e.Calibrated = false }, "insufficient", "uncalibrated: no control"},
		{"nor held for a suspicion", func(e *verdict.Evidence) {
			f := confirmed
			f.Confirmed = false
			e.Calibrated, e.Findings, e.Services[0].Visits = false, []verdict.Finding{f}, stats.Tri{Pos: 5000}
		}, "insufficient", "uncalibrated"},
		{"losses hold", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["queueFull"] = 5400, 400
		}, "hold", "lost"},
		{"what a tap missed holds", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["captureLost"] = 5400, 400
		}, "hold", "400 missed by the tap"},
		{"packets that a tap lost hold", func(e *verdict.Evidence) {
			e.Traffic.Capture = &api.Capture{Rate: 1, Seen: 5000, Packets: 10_000, PacketsLost: 600}
		}, "hold", "no room for 600 of 10,000 packets"},
		{"a tap that saw nearly all promotes", func(e *verdict.Evidence) {
			e.Traffic.Capture = &api.Capture{Rate: 1, Seen: 5000, Packets: 10_000, PacketsLost: 60}
		}, "promote", ""},
		{"a tap on TLS says so", func(e *verdict.Evidence) {
			*e = verdict.Evidence{Calibrated: true, Traffic: api.Traffic{Capture: &api.Capture{Unread: map[string]int64{"tls": 3}}}}
		}, "insufficient", "encrypted"},
		{"sampling is no loss", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["sampledOut"] = 50_000, 45_000
		}, "promote", ""},
		{"shedding whole sessions by lot is no loss", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["shed"] = 50_000, 45_000
			e.Traffic.Shedding = &api.Shedding{Share: .12, Lowest: .1, Sessions: 180, Requests: 45_000}
		}, "promote", "12 % of them are mirrored now, 10 % at the least; 45,000 requests were left out by lot"},
		{"loss is weighed against what was not shed", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["shed"], e.Traffic.Dropped["queueFull"] = 50_400, 45_000, 400
		}, "hold", "400 of 5,400"},
		{"copies lost for want of memory hold", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["overBudget"] = 5400, 400
		}, "hold", "captureBudget"},
		{"silent shadows leave holes", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["breakerOpen"] = 5400, 400
		}, "hold", "has holes: 400 of 5,400"},
		{"a few holes do not matter", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["breakerOpen"] = 5100, 100
		}, "promote", ""},
		{"another load is said", func(e *verdict.Evidence) {
			e.Traffic.Load = &api.Load{Note: "the control had 1.0 requests at a time, the baseline 9.0", Crowded: 1200}
		}, "promote", "Load: the control had 1.0"},
		{"what is not covered is said", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["bodyTooLarge"] = 5100, 100
			e.Traffic.Endpoints = []api.EndpointTraffic{{Service: "orders", Endpoint: "POST /upload", Received: 100, Dropped: map[string]int64{"bodyTooLarge": 100}}}
		}, "promote", "Not covered at all: orders POST /upload (2 % of the requests, bodyTooLarge)"},
		{"a mix that losses tilt holds", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["bodyTooLarge"] = 5150, 150
			e.Traffic.Endpoints = []api.EndpointTraffic{
				{Service: "orders", Endpoint: "GET /cart", Compared: 4950},
				{Service: "orders", Endpoint: "POST /upload", Received: 200, Compared: 50, Dropped: map[string]int64{"bodyTooLarge": 150}},
			}
		}, "hold", "POST /upload 150 (75 %) were lost, most of them as bodyTooLarge"},
		{"losses that fall everywhere do not", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["queueFull"] = 5150, 150
			e.Traffic.Endpoints = []api.EndpointTraffic{
				{Service: "orders", Endpoint: "GET /cart", Compared: 4800, Dropped: map[string]int64{"queueFull": 144}},
				{Service: "orders", Endpoint: "POST /upload", Compared: 200, Dropped: map[string]int64{"queueFull": 6}},
			}
		}, "promote", ""},
		{"an unhealthy control holds", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Dropped["controlError"] = 5400, 400
		}, "hold", "control did not answer"},
		{"wrong sums hold", func(e *verdict.Evidence) { e.Traffic.Received = 4999 }, "hold", "do not add up"},
		{"one session is insufficient", func(e *verdict.Evidence) { e.Services[0].Units = 1 }, "insufficient", "one user session"},
		{"slowness is not promoted", func(e *verdict.Evidence) { e.Services[0].Latency = stats.Tri{Pos: 2600, Neg: 2400} }, "insufficient", "latency"},
		{"a low rate that cannot pass says so", func(e *verdict.Evidence) {
			e.Services[0].Visits = stats.Tri{Zero: 4993, Pos: 7}
		}, "insufficient", "will not pass"},
		{"a stricter confidence needs more", func(e *verdict.Evidence) {
			e.Services[0].Gate = blueprint.Gate{Confidence: .99}
		}, "insufficient", "function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			c.edit(&e)
			v := verdict.Decide(e)
			if v.Decision != c.want || !strings.Contains(strings.Join(v.Reasons, "\n"), c.says) {
				t.Errorf("got %s, want %s saying %q: %q", v.Decision, c.want, c.says, v.Reasons)
			}
			if len(v.Reasons) == 0 {
				t.Error("no reason given")
			}
		})
	}
}

func TestEveryGateSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		edit    func(*verdict.Evidence)
		want    map[string]int64
		seconds int64
		says    string
	}{
		{"all pass", func(*verdict.Evidence) {}, map[string]int64{}, 0, "all 4 gates pass"},
		{"a hundred so far, two a second", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Compared, e.Window = 100, 100, 50*time.Second
			e.Services[0].Compared, e.Services[0].Visits = 100, stats.Tri{Zero: 100}
		}, map[string]int64{"function": 3541, "requests": 100}, 1771, "3,541 more requests would do, some 30 minutes at the rate so far"},
		{"no time is known", func(e *verdict.Evidence) {
			e.Traffic.Received, e.Traffic.Compared = 100, 100
			e.Services[0].Compared, e.Services[0].Visits = 100, stats.Tri{Zero: 100}
		}, map[string]int64{"function": 3541, "requests": 100}, 0, "more requests would do, if no"},
		{"too many differ", func(e *verdict.Evidence) { e.Services[0].Visits = stats.Tri{Zero: 4993, Pos: 7} },
			map[string]int64{"function": -1}, 0, "will not pass"},
		{"too slow", func(e *verdict.Evidence) { e.Services[0].Latency = stats.Tri{Pos: 30, Neg: 20} }, map[string]int64{"latency": -1}, 0, "latency"},
		{"one session", func(e *verdict.Evidence) { e.Services[0].Units = 1 }, map[string]int64{"sessions": 1}, 0, "one user session"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			c.edit(&e)
			v := verdict.Decide(e)
			got := map[string]int64{}
			for _, g := range v.Gates {
				if g.RequestsNeeded != 0 {
					got[g.Name] = g.RequestsNeeded
				}
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("requests needed %v, want %v", got, c.want)
			}
			if v.SecondsNeeded != c.seconds || !strings.Contains(strings.Join(v.Reasons, "\n"), c.says) {
				t.Errorf("seconds %d, want %d; reasons %q", v.SecondsNeeded, c.seconds, v.Reasons)
			}
		})
	}
}
