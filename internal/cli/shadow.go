// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	v1 "microstax/api/v1"
	"microstax/internal/fault"
)

// shadowCommand is the one-line form.
type shadowCommand struct {
	o               ShadowOptions
	sample, maxBody string
	ignore, redact  []string
	out             string
	listening       bool // --listen was given
}

func (a *app) shadow() *cobra.Command {
	var s shadowCommand
	cmd := &cobra.Command{
		Use: "shadow --primary URL --candidate URL --listen ADDR | --tap IFACE:PORT --candidate URL", Args: cobra.NoArgs,
		Short:       "Compare two versions that already run, on live traffic, without any file",
		Annotations: map[string]string{formatsKey: reportFormats},
		Long: "Proxy ADDR to the primary, and send copies of the traffic to the candidate, and to a control: another instance of the\n" +
			"primary's version, which tells noise from change. Nobody who uses ADDR gets an answer of these two.\n\n" +
			"With --tap nothing is put in front of anybody: copies are taken from the packets that pass a network interface on their\n" +
			"way to a port of this machine, and what was missed is counted and shown. It reads HTTP/1.1 that is not encrypted, and\n" +
			"needs the capability CAP_NET_RAW.\n\n" +
			"Ctrl-C ends it and prints the report. The exit code is the verdict's: 0 promote, 3 hold, 4 insufficient.",
		Example: "  microstax shadow --primary http://127.0.0.1:8001 --control http://127.0.0.1:8002 --candidate http://127.0.0.1:8003 --listen 127.0.0.1:8080\n" +
			"  sudo microstax shadow --tap eth0:8080 --control http://127.0.0.1:8002 --candidate http://127.0.0.1:8003",
	}
	s.flags(cmd)
	cmd.RunE = a.do(func(ctx context.Context, _ []string) error {
		s.listening = cmd.Flags().Changed("listen")
		return a.runShadow(ctx, s)
	})
	return cmd
}

func (s *shadowCommand) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.o.Primary, "primary", "", "URL of the version that answers users")
	f.StringVar(&s.o.Candidate, "candidate", "", "URL of the version to compare with it")
	f.StringVar(&s.o.Control, "control", "", "URL of a second instance of the primary's version; without it findings stay suspected")
	f.StringVar(&s.o.Listen, "listen", "127.0.0.1:8080", "address to take traffic at")
	f.StringVar(&s.o.Tap, "tap", "", "take copies from packets instead of listening: IFACE:PORT, like eth0:8080, or IFACE:HOST:PORT")
	f.StringVar(&s.o.CertFile, "tls-cert", "", "serve TLS with the certificate chain in this PEM file; needs --tls-key")
	f.StringVar(&s.o.KeyFile, "tls-key", "", "the certificate's private key, a PEM file")
	f.BoolVar(&s.o.SelfSigned, "tls-self-signed", false, "serve TLS with a certificate made for this run, which clients have to be told to trust")
	f.BoolVar(&s.o.InsecureUpstream, "insecure-upstream", false, "accept any certificate of https URLs")
	f.BoolVar(&s.o.HTTP2, "http2", false, "speak HTTP/2 to the URLs, as gRPC needs; users may speak either version to ADDR anyway")
	f.StringVar(&s.sample, "sample", "", "share of sessions, like 25% or 0.25 (default 100%)")
	f.IntVar(&s.o.Concurrency, "concurrency", 0, "mirrored requests at a time (default 64)")
	f.DurationVar(&s.o.Timeout, "timeout", 0, "for one mirrored request (default 10s)")
	f.StringVar(&s.maxBody, "max-body", "", "largest body that is compared whole (default 1MiB)")
	f.StringSliceVar(&s.o.Session, "session", nil, "what tells sessions apart, first that is present: cookie:NAME, header:NAME, client-ip")
	f.StringSliceVar(&s.o.IgnoreHeaders, "ignore-header", nil, "compare only whether this header is there")
	f.StringSliceVar(&s.ignore, "ignore", nil, "compare only presence and type at this path of JSON bodies, like $.updatedAt")
	f.StringSliceVar(&s.redact, "redact", nil, "keep this out of evidence: header:NAME, or a path of JSON bodies")
	f.Int64Var(&s.o.MinRequests, "min-requests", 0, "gate: compared requests that a verdict needs (default 200)")
	f.Float64Var(&s.o.MaxDifferenceRate, "max-difference-rate", 0, "gate: share of requests that may differ (default 0.001)")
	f.Float64Var(&s.o.MaxLatencyRatio, "max-latency-ratio", 0, "gate: how much slower the candidate may be (default 1.2)")
	f.Float64Var(&s.o.Confidence, "confidence", 0, "gate: confidence of the verdict (default 0.95)")
	f.StringVar(&s.o.OpenAPI, "openapi", "", "OpenAPI 3 document of the service: endpoints are named by it, and answers checked against it")
	f.StringVar(&s.o.Protobuf, "protobuf", "", "descriptor set of the service's messages, as protoc --include_imports --descriptor_set_out writes it")
	f.StringVar(&s.out, "out", "", "write the report to this file instead of standard output")
	_ = cmd.MarkFlagRequired("candidate") //nolint:errcheck // the flag is there
}

// options checks the flags and translates those that are text.
func (s *shadowCommand) options() (ShadowOptions, error) {
	o := s.o
	if err := s.source(); err != nil {
		return o, err
	}
	if o.Tap != "" {
		o.Listen = ""
	}
	for _, u := range []struct{ flag, value string }{{"--primary", o.Primary}, {"--candidate", o.Candidate}, {"--control", o.Control}} {
		if u.value == "" && (u.flag == "--control" || u.flag == "--primary" && o.Tap != "") {
			continue
		}
		if p, err := url.Parse(u.value); err != nil || (p.Scheme != "http" && p.Scheme != "https") || p.Host == "" {
			return o, usagef("%s %s is not a URL like http://127.0.0.1:8001", u.flag, u.value)
		}
	}
	switch {
	case (o.CertFile == "") != (o.KeyFile == ""):
		return o, usagef("--tls-cert and --tls-key belong together")
	case o.CertFile != "" && o.SelfSigned:
		return o, usagef("--tls-self-signed makes a certificate, and --tls-cert names one: keep one of them")
	}
	if s.sample != "" {
		v, err := parseShare(s.sample)
		if err != nil {
			return o, err
		}
		o.Sample = &v
	}
	if s.maxBody != "" {
		v, err := parseSize("--max-body", s.maxBody)
		if err != nil {
			return o, err
		}
		o.MaxBody = v
	}
	for _, p := range s.ignore {
		if !strings.HasPrefix(p, "$") {
			return o, usagef("--ignore %s is not a path like $.updatedAt; headers are for --ignore-header", p)
		}
		o.IgnorePaths = append(o.IgnorePaths, p)
	}
	for _, r := range s.redact {
		if name, ok := strings.CutPrefix(r, "header:"); ok && name != "" {
			o.RedactHeaders = append(o.RedactHeaders, name)
		} else if strings.HasPrefix(r, "$") {
			o.RedactPaths = append(o.RedactPaths, r)
		} else {
			return o, usagef("--redact %s is neither header:NAME nor a path like $.card.number", r)
		}
	}
	switch {
	case o.Confidence < 0 || o.Confidence >= 1:
		return o, usagef("--confidence %g is not between 0 and 1", o.Confidence)
	case o.MaxDifferenceRate < 0 || o.MaxDifferenceRate > 1:
		return o, usagef("--max-difference-rate %g is not between 0 and 1", o.MaxDifferenceRate)
	case o.MaxLatencyRatio < 0, o.MinRequests < 0, o.Concurrency < 0, o.Timeout < 0, o.MaxBody < 0:
		return o, usagef("a limit is negative")
	}
	return o, nil
}

// source checks that the flags name one place to take traffic from.
func (s *shadowCommand) source() error {
	o := &s.o
	if o.Tap == "" {
		if o.Primary == "" {
			return usagef("traffic is needed: --primary URL, to which what arrives at --listen is passed on, or --tap IFACE:PORT")
		}
		return nil
	}
	for _, f := range []struct {
		flag, why string
		given     bool
	}{
		{"--primary", "whoever answers there now goes on doing so", o.Primary != ""},
		{"--listen", "nobody connects to a tap", s.listening},
		{"--tls-cert", "a tap serves nobody, and can't read what is encrypted", o.CertFile != "" || o.KeyFile != ""},
		{"--tls-self-signed", "a tap serves nobody, and can't read what is encrypted", o.SelfSigned},
		{"--http2", "a tap reads HTTP/1.1 only", o.HTTP2},
	} {
		if f.given {
			return usagef("%s doesn't go with --tap: %s", f.flag, f.why)
		}
	}
	return nil
}

// scheme is how the URL begins that users send traffic to.
func (o *ShadowOptions) scheme() string {
	if o.SelfSigned || o.CertFile != "" {
		return "https"
	}
	return "http"
}

func (a *app) runShadow(ctx context.Context, s shadowCommand) error {
	o, err := s.options()
	if err != nil {
		return err
	}
	if a.deps.Shadow == nil {
		return fault.Errorf("shadow", fault.Unavailable, "this build can't shadow")
	}
	var file *os.File
	if s.out != "" { // now, so that an hour of traffic is not lost to a wrong path
		if file, err = os.OpenFile(s.out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return fileError(s.out, err)
		}
	}
	view := a.liveView()
	o.Log, o.Limits = view, a.set.Limits
	o.Ready = func(addr string) {
		if o.Tap != "" {
			view.talk("requests to %s are compared with %s; nothing stands in their way, and what is missed is counted", addr, o.Candidate)
		} else {
			view.talk("traffic sent to "+o.scheme()+"://%s is answered by %s and compared with %s", addr, o.Primary, o.Candidate)
		}
		if o.Control == "" {
			view.talk("without --control noise can't be told from change: findings stay suspected")
		}
		view.talk("Ctrl-C ends it and prints the report")
	}
	r, err := a.deps.Shadow(ctx, o, view.show)
	view.end()
	if err != nil {
		if file != nil {
			file.Close() //nolint:errcheck // nothing was written
		}
		return err
	}
	return a.endShadow(r, file)
}

// endShadow writes the report where it was asked for, and gives the verdict's code.
func (a *app) endShadow(r v1.Report, file *os.File) error {
	if file == nil {
		if err := a.report(a.Out, r); err != nil {
			return err
		}
		return gated(true, r)
	}
	terminal := a.OutTerminal
	a.OutTerminal = false // a file gets no colours
	err := a.report(file, r)
	a.OutTerminal = terminal
	if closing := file.Close(); err == nil && closing != nil {
		err = fault.E("write report", fault.Unavailable, closing)
	}
	if err != nil {
		return err
	}
	a.say("verdict: %s%s; the report is in %s", r.Verdict.Decision, because(r.Verdict.Reasons), file.Name())
	return gated(true, r)
}
