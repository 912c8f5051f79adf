// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"strings"
	"sync/atomic"
	"time"

	"microstax/internal/observation"
)

// maxHeld is how many copies may wait for their time to leave; they are part of the ring.
const maxHeld = 2048

// regulateEvery is how often the share of sessions is thought over.
const regulateEvery = 100 * time.Millisecond

// gauge is what is measured of the queue.
type gauge struct {
	taken      atomic.Int64 // copies that found a place in the ring
	served     atomic.Int64 // copies that are done with
	held       atomic.Int64 // copies that wait for their time to leave
	waitsSince atomic.Int64 // when the copy whose turn is next could have left, in Unix nanoseconds; 0: none is late
	level      atomic.Int64 // requests that the baseline has under way
}

// Enter notes a request that reaches the hop, and says how many the baseline has under way, with this one. Leave must
// follow when it is answered. Neither waits.
func (r *Runner) Enter() int { return int(r.gauge.level.Add(1)) }

// Leave notes that a request was answered.
func (r *Runner) Leave() { r.gauge.level.Add(-1) }

// Whole stands for all sessions in the scale of Job.Sample.
const Whole = whole

// Shedding says whether sessions are shed, or were: where all are sampled too, Choose need not be asked otherwise.
func (r *Runner) Shedding() bool { return !r.shed.idle() }

// Share is the share of the sampled sessions that the shadows take at the moment, and how many sessions were left out
// because they could not.
func (r *Runner) Share() (share float64, shed int64) { return r.shed.theta(), r.shed.lost.Load() }

// Choose says what becomes of a request of a session whose service samples the given share, of Whole. A session that is
// known by that request alone is its own. It never waits.
func (r *Runner) Choose(session string, own bool, sample uint64) Choice {
	return r.shed.decide(r.shed.point(session), sample, own, time.Now())
}

// sample is the share of its sessions that a job's service samples.
func (j *Job) sample() uint64 {
	if j.Sample == 0 {
		return whole
	}
	return j.Sample
}

// who is the session by which a job is sampled, and whether the job is all of it.
func (j *Job) who() (session string, own bool) {
	switch {
	case j.Granted != "" && (j.OwnUnit || strings.HasPrefix(j.Session, "client-ip=")):
		return j.Granted, false // it begins a session, and shares its fate
	case !j.OwnUnit && j.Session != "":
		return j.Session, false
	case j.TraceID != "":
		return j.TraceID, true
	}
	return j.Key, true
}

// outside says whether a job's session was shed while the job waited.
func (r *Runner) outside(j *Job) bool {
	if r.shed.idle() {
		return false
	}
	session, own := j.who()
	if session == "" {
		return r.shed.decide(r.rng.Uint64(), whole, true, time.Now()) != Mirror
	}
	return r.Choose(session, own, j.sample()) != Mirror
}

// inclusion is the probability with which the session of a job is mirrored.
func (r *Runner) inclusion(j *Job) float64 {
	if p := float64(j.sample()) / whole * r.shed.theta(); p < 1 {
		return p
	}
	return 0
}

// regulate thinks the share of sessions over, and whether more places are of use, until no more jobs are taken.
func (r *Runner) regulate() {
	tick := time.NewTicker(regulateEvery)
	defer tick.Stop()
	t := newThrottle(r.opts.Lag)
	var offered, served rate
	var use growth
	for {
		select {
		case now := <-tick.C:
			p := pressure{
				Fill:    max(float64(r.Waiting())/float64(cap(r.ring)+r.room), r.opts.Budget.Fill()),
				Offered: offered.per(r.gauge.taken.Load()), Served: served.per(r.gauge.served.Load()), Halted: r.fuse.shut(),
				Growing: served.grows(),
			}
			if since := r.gauge.waitsSince.Load(); since != 0 {
				p.Age = now.Sub(time.Unix(0, since))
			}
			before := t.theta
			if r.shed.set(t.step(now, p)); t.theta < before {
				select {
				case r.cut <- struct{}{}:
				default: // it has been told
				}
			}
			r.fuse.frozen.Store(use.useless(now, &r.fuse.extra, p.Served))
		case <-r.quit:
			return
		}
	}
}

// rate is a running mean of how much a counter grows in a second.
type rate struct {
	last   int64
	mean   float64
	before [time.Second / regulateEvery]float64 // the means of the second before
	at     int
}

func (r *rate) per(count int64) float64 {
	const n = float64(len(r.before))
	r.before[r.at%len(r.before)] = r.mean
	r.at++
	r.mean += (float64(count-r.last)*n - r.mean) / n
	r.last = count
	return r.mean
}

// grows says whether the mean has grown by a tenth within a second.
func (r *rate) grows() bool { return r.mean > 1.1*r.before[r.at%len(r.before)] }

// growth watches whether the places that slow shadows are given are of use. When half as many again do not get more
// done, the shadows are not slow but at their limit: more under way would only wait there, until it times out.
type growth struct {
	places int64
	served float64
	at     time.Time // when places and served were noted
	until  time.Time // no more places until then
}

const (
	growthFor = 2 * time.Second
	noGrowth  = 10 * time.Second
)

// useless says whether no more places are to be given, and takes back those that were of no use.
func (g *growth) useless(now time.Time, extra *atomic.Int64, served float64) bool {
	if now.Before(g.until) {
		return true
	}
	n := extra.Load()
	switch {
	case g.at.IsZero() || n < g.places || served > 1.15*g.served:
		g.places, g.served, g.at = n, served, now
	case n+defaultConcurrency >= (g.places+defaultConcurrency)*3/2 && now.Sub(g.at) >= growthFor:
		extra.Store(g.places)
		g.until, g.at = now.Add(noGrowth), time.Time{}
		return true
	}
	return false
}

// next is the job whose time it is to leave; false when there will be none.
func (r *Runner) next() (Job, bool) {
	for {
		if r.held.len() == 0 && (r.room == 0 || r.pace.direct()) {
			return r.await()
		}
		r.collect()
		if r.held.len() == 0 {
			j, ok := r.await()
			if !ok {
				return j, false
			}
			r.hold(j)
		}
		first := r.held.top().Capture.Start
		wait := r.pace.wait(first, time.Now())
		if wait <= 0 || r.held.len() >= r.room || r.closed.Load() {
			r.gauge.held.Add(-1)
			return r.held.pop(), true
		}
		if r.pace.behind > 0 {
			r.gauge.waitsSince.Store(first.Add(r.pace.hold).UnixNano())
		}
		r.gather.Reset(wait)
		select {
		case <-r.gather.C:
		case <-r.cut:
			r.winnow()
		case <-r.quit:
		}
		r.gauge.waitsSince.Store(0)
	}
}

// winnow takes out what waits of sessions that are shed, so that the others do not wait for it.
func (r *Runner) winnow() {
	jobs := r.held.jobs
	for more := true; more; {
		select {
		case j := <-r.ring:
			jobs = append(jobs, j)
		default:
			more = false
		}
	}
	r.held.jobs = nil
	for i := range jobs {
		if r.outside(&jobs[i]) {
			r.abandon(&jobs[i], observation.Shed)
			continue
		}
		r.held.push(jobs[i])
	}
	r.gauge.held.Store(int64(r.held.len()))
}

// collect moves what waits in the ring to where it is put in the order in which requests came.
func (r *Runner) collect() {
	for r.held.len() < max(r.room, 1) {
		select {
		case j := <-r.ring:
			r.pace.learn(j.Capture.Start, j.ready())
			r.hold(j)
		default:
			return
		}
	}
}

func (r *Runner) hold(j Job) {
	r.held.push(j)
	r.gauge.held.Add(1)
}

// await is the next job to come; false when there will be none. When none is there it lets some gather, for a moment in
// which nobody who offers one has to wake it: that is the user's path.
func (r *Runner) await() (j Job, ok bool) {
	defer func() {
		if ok {
			r.pace.learn(j.Capture.Start, j.ready())
		}
	}()
	select {
	case j = <-r.ring:
		return j, true
	default:
	}
	r.gather.Reset(gatherJobs)
	select {
	case <-r.gather.C:
	case <-r.quit:
	}
	select {
	case j = <-r.ring:
		return j, true
	default:
	}
	select {
	case j = <-r.ring:
		return j, true
	case <-r.quit:
		return j, false
	}
}

// gatherJobs is how long a copy may wait for more before the shadows get it.
const gatherJobs = 500 * time.Microsecond

// ready is when a job's copies may leave: when its baseline's calls are recorded.
func (j *Job) ready() time.Time {
	end := j.Capture.Start.Add(j.Capture.Duration)
	if j.Entry.CallsOut {
		end = end.Add(lag)
	}
	return end
}

// loadOf is under what load a job's copies were sent.
func (r *Runner) loadOf(t *task, sent time.Time, control, candidate int) observation.Load {
	j := &t.job
	l := observation.Load{Lag: sent.Sub(j.Capture.Start), Baseline: j.Level, Control: control, Candidate: candidate}
	if j.Capture.Socket != nil { // it began long before anything could be copied
		l.Lag = 0
	}
	l.Crowded = t.waited && j.Level > 0 && max(control, candidate) > crowdedFactor*j.Level+crowdedBeyond
	return l
}

// What a shadow that could not take copies in time has under way is a crowd when it is so many times more than the
// baseline had, and some.
const (
	crowdedFactor = 2
	crowdedBeyond = 4
)
