// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"os"

	v1 "microstax/api/v1"
	"microstax/internal/app"
	"microstax/internal/cli"
	"microstax/internal/client"
	"microstax/internal/config"
	"microstax/internal/demo"
	"microstax/internal/demo/shop"
	"microstax/internal/fault"
)

// deps is what commands run in this process.
func deps(exe string) cli.Deps {
	return cli.Deps{
		Version: version(), Executable: exe,
		Serve: func(ctx context.Context, s config.Settings, ready func(addr string)) error {
			return app.Serve(ctx, s, version(), os.Stderr, ready)
		},
		Gateway: func(ctx context.Context, s config.Settings, ready func(name string)) error {
			return app.Gateway(ctx, s, version(), os.Stderr, ready)
		},
		Shadow: shadow, DemoService: demoService,
		Demo: func(ctx context.Context, o cli.DemoOptions) (v1.Report, error) { return runDemo(ctx, exe, o) },
	}
}

// runDemo runs the bundled shop on the server that answers.
func runDemo(ctx context.Context, exe string, o cli.DemoOptions) (v1.Report, error) {
	c, err := client.New(client.Options{URL: o.Settings.APIURL, Token: o.Settings.APIKey.Reveal(), User: "demo", NewKey: rand.Text})
	if err != nil {
		return v1.Report{}, err
	}
	defer c.Close()
	res, err := demo.Run(ctx, demo.Options{
		Client: c, Executable: exe, Candidate: o.Candidate, Duration: o.Duration, Keep: o.Keep, Say: o.Say, Render: o.Show,
	})
	if err != nil {
		return res.Report, err
	}
	return res.Report, res.Err()
}

// demoService runs one service of that shop.
func demoService(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fault.Errorf("run demo service", fault.Invalid, "one name is needed: %v", shop.Services())
	}
	return shop.Run(ctx, args[0], shop.Options{Lookup: config.Lookup, Out: out})
}

// shadow translates the flags into what app takes. A zero setting stays zero, which means the default.
func shadow(ctx context.Context, o cli.ShadowOptions, live func(v1.Report)) (v1.Report, error) {
	opts := app.ShadowOptions{
		Primary: o.Primary, Candidate: o.Candidate, Control: o.Control, Listen: o.Listen, Tap: o.Tap, Limits: o.Limits,
		CertFile: o.CertFile, KeyFile: o.KeyFile, SelfSigned: o.SelfSigned, InsecureUpstream: o.InsecureUpstream, HTTP2: o.HTTP2,
		Ready: o.Ready, Live: live, Logger: slog.New(slog.NewTextHandler(o.Log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	s := &opts.Settings
	s.Sample, s.Session, s.Concurrency = o.Sample, o.Session, o.Concurrency
	number(&s.Timeout, o.Timeout)
	number(&s.MaxBody, o.MaxBody)
	s.OpenAPI, s.Protobuf = o.OpenAPI, o.Protobuf
	for _, h := range o.IgnoreHeaders {
		more(&s.Ignore).Header = h
	}
	for _, p := range o.IgnorePaths {
		more(&s.Ignore).Path = p
	}
	for _, h := range o.RedactHeaders {
		more(&s.Redact).Header = h
	}
	for _, p := range o.RedactPaths {
		more(&s.Redact).Path = p
	}
	if o.Confidence != 0 || o.MaxDifferenceRate != 0 || o.MinRequests != 0 || o.MaxLatencyRatio != 0 {
		g := fresh(&s.Gate)
		g.Confidence, g.MaxDifferenceRate = o.Confidence, o.MaxDifferenceRate
		g.MinRequests, g.MaxLatencyRatio = o.MinRequests, o.MaxLatencyRatio
	}
	return app.Shadow(ctx, opts)
}

// number sets a setting that is a number under another name.
func number[To, From ~int64](to *To, from From) { *to = To(from) }

// more adds an empty element.
func more[T any](list *[]T) *T {
	var empty T
	*list = append(*list, empty)
	return &(*list)[len(*list)-1]
}

// fresh puts a new value behind a pointer.
func fresh[T any](p **T) *T {
	*p = new(T)
	return *p
}

// getenv reads the environment through config, which alone may.
func getenv() func(string) string { return config.Process(nil).Getenv }
