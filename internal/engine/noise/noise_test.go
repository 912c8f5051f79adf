// SPDX-License-Identifier: Apache-2.0

package noise_test

import (
	"testing"

	api "microstax/api/v1"
	"microstax/internal/engine/diff"
	"microstax/internal/engine/noise"
)

func TestOneDifferenceIsNoiseAmongFewPairsAndNotAmongMany(t *testing.T) {
	t.Parallel()
	var c noise.Counts
	c.Add(diff.UpTo(diff.Tolerant), "timestamp")
	for pairs, want := range map[int64]diff.Level{1: diff.Format, 99: diff.Format, 100: diff.Bytes, 5000: diff.Bytes} {
		if got, ok := c.Strictest(diff.Bytes, pairs, noise.Tolerated); !ok || got != want {
			t.Errorf("%d pairs: strictest quiet level %s, want %s", pairs, got.Name(), want.Name())
		}
	}
}

func TestAPlaceThatComesAndGoesHidesEverything(t *testing.T) {
	t.Parallel()
	var c noise.Counts
	for range 50 {
		c.Add(diff.UpTo(diff.Presence), "")
	}
	if _, ok := c.Strictest(diff.Bytes, 100, noise.Tolerated); ok {
		t.Error("a level is called quiet")
	}
	row, ok := noise.Row(noise.Place{Service: "s", Endpoint: "GET /", Path: "$.x"}, c, 100, noise.FromControl)
	if want := (api.Noise{Service: "s", Endpoint: "GET /", Path: "$.x", Model: "other", LearnedFrom: "control", Pairs: 100, Rate: .5, StillSeen: "none"}); !ok || row != want {
		t.Errorf("got %+v, want %+v", row, want)
	}
}

func TestQuietPlacesHaveNoRow(t *testing.T) {
	t.Parallel()
	var c noise.Counts
	if _, ok := noise.Row(noise.Place{}, c, 10, noise.FromControl); ok {
		t.Error("a place without differences is called noisy")
	}
	c.Add(diff.UpTo(diff.Bytes), "")
	if _, ok := noise.Row(noise.Place{}, c, 1000, noise.FromControl); ok {
		t.Error("one in a thousand is called noisy")
	}
}

func TestTheCommonestModelWinsAndModelsAreBounded(t *testing.T) {
	t.Parallel()
	var c noise.Counts
	for i := range 100 {
		c.Add(diff.UpTo(diff.Canonical), string(rune('a'+i%50)))
	}
	c.Add(diff.UpTo(diff.Canonical), "b")
	if len(c.Models) > 17 {
		t.Errorf("%d models kept", len(c.Models))
	}
	var d noise.Counts
	d.Add(diff.UpTo(diff.Canonical), "uuid")
	d.Add(diff.UpTo(diff.Canonical), "uuid")
	d.Add(diff.UpTo(diff.Canonical), "token")
	if d.Model() != "uuid" {
		t.Errorf("model %q, want uuid", d.Model())
	}
}

func TestMergingKindsAtOnePlaceDoesNotCountPairsTwice(t *testing.T) {
	t.Parallel()
	var a, b noise.Counts
	for range 10 {
		a.Add(diff.UpTo(diff.Tolerant), "number")
		b.Add(diff.UpTo(diff.Canonical), "order")
	}
	a.Merge(b)
	row, _ := noise.Row(noise.Place{}, a, 10, noise.FromHistory)
	if row.Rate != 1 || row.StillSeen != "format" || row.LearnedFrom != "history" {
		t.Errorf("got %+v", row)
	}
}
