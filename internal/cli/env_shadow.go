// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/client"
	"microstax/internal/report"
)

// shadowFlags are the flags that override the Blueprint's settings.
type shadowFlags struct {
	enable, disable bool
	sample          string
	patch           v1.ShadowPatch
}

func (a *app) envShadow() *cobra.Command {
	var s shadowFlags
	cmd := &cobra.Command{
		Use: "shadow ENV [--enable | --disable]", Short: "Mirror live traffic to an overlay, or show how that goes", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRef(""),
		Example:           "  microstax env shadow feat-checkout --enable --sample 25%\n  microstax env shadow feat-checkout --disable",
	}
	f := cmd.Flags()
	f.BoolVar(&s.enable, "enable", false, "mirror traffic")
	f.BoolVar(&s.disable, "disable", false, "stop mirroring; the evidence stays")
	f.StringVar(&s.sample, "sample", "", "share of sessions, like 25% or 0.25")
	f.StringSliceVar(&s.patch.Session, "session", nil, "what tells sessions apart, first that is present: cookie:NAME, header:NAME, client-ip")
	f.StringVar(&s.patch.Control, "control", "", "auto for a twin of the baseline's version, off, or a URL")
	f.StringVar(&s.patch.Effects, "effects", "", "what the shadow's outgoing calls get: replay, passthrough, block or isolated")
	f.IntVar(&s.patch.Concurrency, "concurrency", 0, "mirrored requests at a time")
	f.StringVar(&s.patch.Timeout, "timeout", "", "for one mirrored request, like 10s")
	f.StringVar(&s.patch.MaxBody, "max-body", "", "largest body that is compared whole, like 1MiB")
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	_ = cmd.RegisterFlagCompletionFunc("effects", fixed("replay", "passthrough", "block", "isolated")) //nolint:errcheck // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("control", fixed("auto", "off"))                                //nolint:errcheck // the flag is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		settings := false
		for _, name := range []string{"sample", "session", "control", "effects", "concurrency", "timeout", "max-body"} {
			settings = settings || cmd.Flags().Changed(name)
		}
		return a.do(func(ctx context.Context, args []string) error { return a.runEnvShadow(ctx, args[0], s, settings) })(cmd, args)
	}
	return cmd
}

func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

func (a *app) runEnvShadow(ctx context.Context, ref string, s shadowFlags, settings bool) error {
	if s.sample != "" {
		share, err := parseShare(s.sample)
		if err != nil {
			return err
		}
		s.patch.Sample = &share
	}
	if settings && s.disable {
		return usagef("--disable takes no settings")
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	var state v1.ShadowState
	switch {
	case s.enable, s.disable:
		s.patch.Enabled = &s.enable
		if s.enable && !a.quiet {
			a.say("starting the candidate and its control beside the baseline…")
		}
		state, err = c.PatchShadow(ctx, ref, s.patch)
	case settings:
		state, err = c.PatchShadow(ctx, ref, s.patch)
	default:
		state, err = c.Shadow(ctx, ref)
	}
	if err != nil {
		return err
	}
	return a.printShadow(ctx, c, ref, state)
}

// printShadow shows the state of a session, where to send traffic, and what comes next.
func (a *app) printShadow(ctx context.Context, c *client.Client, ref string, s v1.ShadowState) error {
	var to []v1.Endpoint
	if s.Enabled && a.output == "table" && s.Baseline != "" {
		base, err := c.Environment(ctx, s.Baseline)
		if err != nil {
			return err
		}
		to = base.Endpoints
	}
	if err := a.print(s, func(t *table) { a.shadowTable(t, s, to) }); err != nil {
		return err
	}
	switch {
	case !s.Enabled && s.SessionID != "":
		a.next("microstax env diffs %s", ref)
	case !s.Enabled:
		a.next("microstax env shadow %s --enable", ref)
	default:
		a.next("send traffic, then: microstax env diffs %s", ref)
	}
	return nil
}

func (a *app) shadowTable(t *table, s v1.ShadowState, to []v1.Endpoint) {
	if s.Enabled {
		t.field("Shadow", t.paint(green, "on"))
	} else {
		t.field("Shadow", "off")
	}
	t.field("Session", s.SessionID)
	if s.Since != nil {
		t.field("Since", a.ago(*s.Since))
	}
	t.field("Compared to", s.Baseline)
	if s.Traffic != nil {
		t.field("Traffic", fmt.Sprintf("%d received, %d compared, %d identical, %d in flight, %d dropped",
			s.Traffic.Received, s.Traffic.Compared, s.Traffic.Identical, s.Traffic.InFlight, sum(s.Traffic.Dropped)))
		t.field("Not compared", reasonsText(s.Traffic.Dropped))
		if x := s.Traffic.Shedding; x != nil {
			t.field("Shedding", report.SheddingText(*x))
		}
		if x := s.Traffic.Load; x != nil {
			t.field("Load", report.LoadText(*x))
			if x.Note != "" {
				t.field("", x.Note)
			}
		}
	}
	if s.Verdict != nil {
		t.field("Verdict", t.state(s.Verdict.Decision)+because(s.Verdict.Reasons))
	}
	for _, e := range to {
		t.field("Send traffic to", t.paint(bold, e.URL)+"  ("+e.Service+"/"+e.Port+")")
	}
	if len(s.Services) == 0 {
		return
	}
	t.row()
	t.head("SERVICE", "SAMPLE", "CONTROL", "EFFECTS", "CONCURRENCY", "TIMEOUT", "MAX BODY", "SESSION")
	for _, v := range s.Services {
		t.row(v.Name, percent(v.Sample), v.Control, v.Effects, strconv.Itoa(v.Concurrency), v.Timeout, bytesText(v.MaxBody), strings.Join(v.Session, ", "))
	}
}

// reasonsText lists why requests were not compared.
func reasonsText(dropped map[string]int64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		if n := dropped[reason]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", reason, n))
		}
	}
	return strings.Join(parts, ", ")
}

func because(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + reasons[0]
}

func sum(m map[string]int64) int64 {
	var n int64
	for _, v := range m {
		n += v
	}
	return n
}

// percent is a share for people.
func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 4, 64) + "%" }

// parseShare reads 25% and 0.25.
func parseShare(s string) (float64, error) {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isPercent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) { //nolint:staticcheck // written so that NaN is refused too
		return 0, usagef("--sample %s is not a share: write 25%% or 0.25", s)
	}
	return v, nil
}

// parseSize reads 1MiB, 64KB or 4096 into bytes.
func parseSize(flag, s string) (int64, error) {
	units := []struct {
		suffix string
		factor float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}
	for _, u := range units {
		if number, ok := strings.CutSuffix(strings.TrimSpace(s), u.suffix); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || !(v >= 0 && v*u.factor < 1<<40) { //nolint:staticcheck // as above
				break
			}
			return int64(v * u.factor), nil
		}
	}
	return 0, usagef("%s %s is not a size: write 1MiB, 64KB or 4096", flag, s)
}

// bytesText is a size for people.
func bytesText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10) + "B"
}

// seconds is a duration as a person would say it.
func seconds(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
