// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	v1 "microstax/api/v1"
	"microstax/internal/cli"
	"microstax/internal/config"
)

// env is an environment of a process with a home of its own.
func env(home string) func(string) string {
	return func(name string) string { return map[string]string{"MICROSTAX_HOME": home}[name] }
}

func TestShadowOnATerminalRedrawsOneLineAndTellsEachFindingOnce(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	code := cli.Main(t.Context(), cli.Streams{
		Out: &out, Err: &talk, Getenv: env(t.TempDir()), Now: time.Now, OutTerminal: true, ErrTerminal: true,
	}, cli.Deps{Shadow: shadow}, []string{"shadow", "--primary", "http://a", "--candidate", "http://b"})
	if code != 3 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(talk.String(), "price is a string"); n != 1 {
		t.Errorf("the finding was told %d times:\n%q", n, talk.String())
	}
	if n := strings.Count(talk.String(), "\r\x1b[2K"); n != 2 || strings.Count(talk.String(), "900 received") != 2 {
		t.Errorf("redrawn %d times:\n%q", n, talk.String())
	}
	if !strings.HasSuffix(talk.String(), "\r\x1b[2K") {
		t.Errorf("the status line is left behind: %q", talk.String())
	}
	if !strings.Contains(out.String(), "\x1b[") {
		t.Errorf("the report has no colours: %q", out.String())
	}
}

func TestNoColorIsRespected(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	home := t.TempDir()
	code := cli.Main(t.Context(), cli.Streams{
		Out: &out, Err: &talk, Now: time.Now, OutTerminal: true, ErrTerminal: true,
		Getenv: func(name string) string { return map[string]string{"MICROSTAX_HOME": home, "NO_COLOR": "1"}[name] },
	}, cli.Deps{Shadow: shadow}, []string{"shadow", "--primary", "http://promote", "--candidate", "http://b"})
	if code != 0 || strings.Contains(out.String(), "\x1b[") {
		t.Errorf("exit code %d:\n%q", code, out.String())
	}
}

func TestShadowErrorsAreNotVerdicts(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	fails := func(context.Context, cli.ShadowOptions, func(v1.Report)) (v1.Report, error) {
		return v1.Report{}, context.DeadlineExceeded
	}
	code := cli.Main(t.Context(), cli.Streams{Out: &out, Err: &talk, Getenv: env(t.TempDir()), Now: time.Now}, cli.Deps{Shadow: fails},
		[]string{"shadow", "--primary", "http://a", "--candidate", "http://b"})
	if code != 1 || out.Len() != 0 || !strings.Contains(talk.String(), "microstax: ") {
		t.Errorf("exit code %d: %q, %q", code, out.String(), talk.String())
	}
}

func TestWatchRedrawsAndEndsWithTheVerdictOfTheLastReport(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan struct{})
	addr := make(chan string, 1)
	go func() {
		defer close(served)
		if err := serve(ctx, config.Settings{Listen: "127.0.0.1:0"}, func(a string) { addr <- a }); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	url := "http://" + <-addr
	home := t.TempDir()
	run := func(ctx context.Context, out *bytes.Buffer, args ...string) int {
		ctx, ctrlC := context.WithCancel(ctx)
		defer ctrlC()
		w := &endless{Buffer: out, stop: ctrlC}
		return cli.Main(ctx, cli.Streams{
			Out: w, Err: &bytes.Buffer{}, In: strings.NewReader("name: feat\n"), Now: time.Now, OutTerminal: true,
			Getenv: func(name string) string {
				return map[string]string{"MICROSTAX_HOME": home, "MICROSTAX_API_URL": url}[name]
			},
		}, cli.Deps{}, args)
	}
	var made, watched bytes.Buffer
	if code := run(ctx, &made, "env", "create", "-f", "-", "-q"); code != 0 || made.String() != "env_1\n" {
		t.Fatalf("create: %d %q", code, made.String())
	}
	code := run(ctx, &watched, "env", "diffs", "feat", "--watch", "--gate")
	if code != 3 || !strings.HasPrefix(watched.String(), "\x1b[H\x1b[2J") || !strings.Contains(watched.String(), "watching feat") {
		t.Errorf("watch: %d %q", code, watched.String())
	}
	cancel()
	<-served
}

// endless is a terminal whose user presses Ctrl-C once a report was shown.
type endless struct {
	*bytes.Buffer
	stop func()
}

func (e *endless) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("watching")) {
		defer e.stop()
	}
	return e.Buffer.Write(b)
}
