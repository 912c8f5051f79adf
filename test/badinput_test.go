// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"flag"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files") //nolint:gochecknoglobals // a flag

// changing are the parts of a message that are others in every run.
var changing = []struct { //nolint:gochecknoglobals // a table
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`env_[0-9a-z]{26}`), "env_ID"},
	{regexp.MustCompile(`(?m)^[a-z-]+: (starting [a-z]+|[a-z]+ is ready)\n`), ""}, // what happens before the command listens is not told
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "127.0.0.1:PORT"},
}

// TestBadBlueprints has one file for each mistake, whose first line says what is done with it, and its golden file what
// people are told.
func TestBadBlueprints(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	w := newWorld(t)
	w.baseline(`
name: shop
services:
  front: {command: [$service, -name, front, -call, "GET ${services.back.url}"], dependsOn: [back], expose: true}
  back: {command: [$service, -name, back]}
`)
	w.overlay("shop", "{name: taken, services: {back: {env: {A: b}}}}")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(text), "\n")
			code, args, ok := strings.Cut(strings.TrimPrefix(head, "# exit "), ": ")
			want, err := strconv.Atoi(code)
			if !ok || err != nil {
				t.Fatalf("the first line is %q, want # exit CODE: COMMAND", head)
			}
			name := w.write(filepath.Base(file), string(text))
			_, stderr, got := microstax(t, w.vars, w.dir, append(strings.Fields(args), "--file", name)...)
			if got != want {
				t.Errorf("exit code %d, want %d", got, want)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", w.steady(stderr))
		})
	}
}

// steady replaces what differs from run to run.
func (w *world) steady(said string) string {
	said = strings.ReplaceAll(strings.ReplaceAll(said, w.dir, "DIR"), service, "SERVICE")
	for _, c := range changing {
		said = c.re.ReplaceAllString(said, c.with)
	}
	return said
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./test -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("said\n%s\nand %s has\n%s", got, file, want)
	}
}

// TestMalformedRequests are refused by the proxy, and reach nobody.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop, _, _ := w.pair()
	u, err := url.Parse(endpoint(t, shop))
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{
		"nonsense\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", // no host
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", // smuggling
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
		"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 400 ") && !strings.HasPrefix(line, "HTTP/1.1 501 ") {
			t.Errorf("%q: %q, %v", raw, line, err)
		}
		conn.Close() //nolint:errcheck // nothing more comes
	}
	send(t, "GET", u.String()+"/item/1", "", "")
	w.report("pr-1", 1) // which nothing of the above has reached
}
