// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"microstax/internal/config"
	"microstax/internal/fault"
)

// source is an environment, a file and flags.
type source struct {
	env   map[string]string
	file  string
	flags map[string]string
}

func (s source) load() (config.Settings, error) {
	return config.Load(config.Options{
		Getenv: func(k string) string { return s.env[k] },
		ReadFile: func(path string) ([]byte, error) {
			if s.file == "" {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(s.file), nil
		},
		Abs: func(p string) (string, error) {
			if filepath.IsAbs(p) {
				return p, nil
			}
			return filepath.Join("/cwd", p), nil
		},
		Flags: s.flags,
	})
}

func with(extra map[string]string) map[string]string {
	env := map[string]string{"HOME": "/home/u", "USER": "u"}
	for k, v := range extra {
		env[k] = v
	}
	return env
}

func mustLoad(t *testing.T, s source) config.Settings {
	t.Helper()
	got, err := s.load()
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return got
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := config.Settings{
		APIURL: "http://127.0.0.1:3000", Home: "/home/u/.local/state/microstax", DataDir: "/home/u/.local/state/microstax/data",
		Listen: "127.0.0.1:3000", Ports: config.PortRange{First: 20000, Last: 31999}, LogLevel: slog.LevelInfo, User: "u", Color: true,
		Gateway: config.Gateway{Dir: "/home/u/.local/state/microstax/gateway"},
		Limits: config.Limits{
			Ring: 8192, CaptureBudget: 256 << 20, MaxBody: 1 << 20, Lag: 5 * time.Second, Bus: 1024, Connections: 20000, Environments: 500, Instances: 200,
			KeptPerFinding: 20, KeptPerEndpoint: 3, KeptPerSession: 10000, DrainTimeout: 10 * time.Second,
			Spool: 256 << 20, TapRing: 32 << 20, TapConnections: 20_000, TapHeld: 64 << 20,
			MaxHead: 64 << 10, HeadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, BodyTimeout: 2 * time.Minute,
			DialTimeout: 10 * time.Second,
		},
	}
	if d := cmp.Diff(want, mustLoad(t, source{env: with(nil)})); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
}

func TestStrength(t *testing.T) {
	t.Parallel()
	file := "log: debug\nlisten: 127.0.0.1:1\nlimits:\n  ring: 1\n  bus: 1\n"
	env := with(map[string]string{"MICROSTAX_LOG": "warn", "MICROSTAX_LIMIT_RING": "2", "MICROSTAX_LIMIT_BUS": ""})
	got := mustLoad(t, source{env: env, file: file, flags: map[string]string{"log": "error", "listen": ""}})
	if got.LogLevel != slog.LevelError || got.Limits.Ring != 2 || got.Limits.Bus != 1 || got.Listen != "127.0.0.1:1" {
		t.Errorf("got log %v, ring %d, bus %d, listen %s; want flag over environment over file, and empty values to count as not given",
			got.LogLevel, got.Limits.Ring, got.Limits.Bus, got.Listen)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   source
		get  func(config.Settings) any
		want any
	}{
		{"home from MICROSTAX_HOME", source{env: with(map[string]string{"MICROSTAX_HOME": "/m", "XDG_STATE_HOME": "/x"})}, home, "/m"},
		{"home from XDG_STATE_HOME", source{env: with(map[string]string{"XDG_STATE_HOME": "/x"})}, home, "/x/microstax"},
		{"a relative XDG_STATE_HOME is ignored", source{env: with(map[string]string{"XDG_STATE_HOME": "x"})}, home, "/home/u/.local/state/microstax"},
		{"home from a flag", source{flags: map[string]string{"home": "h"}}, home, "/cwd/h"},
		{"a data directory in the file starts at the file", source{env: with(nil), file: "dataDir: d"}, dataDir, "/home/u/.local/state/microstax/d"},
		{"a data directory elsewhere starts at the working directory", source{env: with(nil), flags: map[string]string{"dataDir": "d"}}, dataDir, "/cwd/d"},
		{"listen follows a loopback URL", source{env: with(map[string]string{"MICROSTAX_API_URL": "http://localhost:4000/"})}, listen, "127.0.0.1:4000"},
		{"listen follows an IPv6 URL", source{env: with(map[string]string{"MICROSTAX_API_URL": "http://[::1]:4000"})}, listen, "[::1]:4000"},
		{"a remote URL has no listen", source{env: with(map[string]string{"MICROSTAX_API_URL": "https://m.example"})}, listen, ""},
		{"sizes in MB", source{env: with(nil), file: "limits: {maxBody: 2 MB}"}, func(s config.Settings) any { return s.Limits.MaxBody }, int64(2_000_000)},
		{"a certificate in the file starts at the file", source{env: with(nil), file: "tlsCertificate: c.pem\ntlsKey: /k.pem"}, func(s config.Settings) any { return s.TLS }, config.TLS{Certificate: "/home/u/.local/state/microstax/c.pem", Key: "/k.pem"}},
		{"a self-made certificate", source{env: with(nil), file: "tlsCertificate: self-made"}, func(s config.Settings) any { return s.TLS }, config.TLS{SelfMade: true}},
		{"no certificate after all", source{env: with(map[string]string{"MICROSTAX_TLS_CERTIFICATE": "off"}), file: "tlsCertificate: self-made"}, func(s config.Settings) any { return s.TLS }, config.TLS{}},
		{"no limit", source{env: with(nil), file: "limits: {answerTimeout: off}"}, func(s config.Settings) any { return s.Limits.AnswerTimeout }, time.Duration(0)},
		{"a limit", source{env: with(map[string]string{"MICROSTAX_LIMIT_ANSWER_TIMEOUT": "90s"})}, func(s config.Settings) any { return s.Limits.AnswerTimeout }, 90 * time.Second},
		{"sizes in bytes", source{env: with(nil), file: "limits: {maxBody: 4096}"}, func(s config.Settings) any { return s.Limits.MaxBody }, int64(4096)},
		{"ports", source{env: with(nil), file: "ports: 40000-40999"}, func(s config.Settings) any { return s.Ports }, config.PortRange{First: 40000, Last: 40999}},
		{"a file of comments", source{env: with(nil), file: "# nothing\nlimits:\n  # ring: 1\n"}, func(s config.Settings) any { return s.Limits.Ring }, 8192},
		{"no colours", source{env: with(map[string]string{"NO_COLOR": "1"})}, func(s config.Settings) any { return s.Color }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.get(mustLoad(t, tt.in)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func home(s config.Settings) any    { return s.Home }
func dataDir(s config.Settings) any { return s.DataDir }
func listen(s config.Settings) any  { return s.Listen }

func TestComplaintsComeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := source{
		env:   with(map[string]string{"MICROSTAX_LOG": "loud"}),
		file:  "lisen: 127.0.0.1:1\nports: 80-90\nring: 3\nlimits:\n  maxBody: 3 parsecs\n  rnig: 4\nhome: /x\nports: 1-2\napiUrl: [a]\napiKey:\n",
		flags: map[string]string{"listen": "nowhere", "limits.bus": "0", "color": "red"},
	}.load()
	path := "/home/u/.local/state/microstax/config.yaml"
	want := []string{
		path + ":1:1: lisen is not a setting; did you mean listen? [unknown-field]",
		path + ":2:8: ports: \"80-90\" is not a range of at least 100 ports from 1024 to 65535: write it like 20000-31999 [bad-value]",
		path + ":3:1: ring is not a setting; did you mean limits.ring? [unknown-field]",
		path + ":5:12: limits.maxBody: \"3 parsecs\" is not a size from 1KiB to 1024MiB: write a number with a unit, like 64KiB, 1MiB or 256MB [bad-value]",
		path + ":6:3: limits.rnig is not a setting; did you mean limits.ring? [unknown-field]",
		path + ":7:1: home cannot be set here, since this file lies in it: set MICROSTAX_HOME [unknown-field]",
		path + ":8:1: ports is there twice [syntax]",
		path + ":9:9: apiUrl must be a single value [bad-value]",
		path + ":10:8: apiKey has no value [bad-value]",
		"--listen: \"nowhere\" is not an address to listen on: write host:port, like 127.0.0.1:3000 [bad-value]",
		"MICROSTAX_LOG: \"loud\" is not a log level: write debug, info, warn or error [bad-value]",
		"--limits.bus: \"0\" is not a number from 1 to 1048576 [bad-value]",
		"there is no setting color [unknown-field]",
	}
	var got []string
	for _, p := range fault.PlacesOf(err) {
		got = append(got, strings.TrimSpace(p.String()))
	}
	if d := cmp.Diff(want, got); d != "" || !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, want string }{
		"not YAML":           {"a: [1\nb: }", "config.yaml:2"},
		"a list":             {"- a\n", "config.yaml:1:1: the file must be a mapping"},
		"limits as a number": {"limits: 3", "limits is not a setting"},
	} {
		if _, err := (source{env: with(nil), file: tt.file}).load(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tt.want)
		}
	}
	_, err := config.Load(config.Options{
		Getenv:   func(k string) string { return with(nil)[k] },
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("permission denied") },
	})
	if !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("unreadable file: got %v (hint %q)", err, fault.HintOf(err))
	}
	if _, err := config.Load(config.Options{}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "MICROSTAX_HOME") {
		t.Errorf("no home: got %v (hint %q)", err, fault.HintOf(err))
	}
}

func TestSettingsThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, want string }{
		"certificate alone":   {"tlsCertificate: /c.pem", "tlsCertificate and tlsKey go together"},
		"body above budget":   {"limits: {maxBody: 2MiB, captureBudget: 1MiB}", "limits.captureBudget"},
		"API among the ports": {"listen: 127.0.0.1:20005", "lies within ports"},
	} {
		if _, err := (source{env: with(nil), file: tt.file}).load(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tt.want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, source{env: with(map[string]string{"MICROSTAX_API_KEY": "hunter2"})})
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("settings", "key", s.APIKey)
	if out := fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.APIKey, s.APIKey) + string(asJSON) + log.String(); strings.Contains(out, "hunter2") {
		t.Errorf("the key shows: %s", out)
	}
	if s.APIKey.Reveal() != "hunter2" {
		t.Errorf("reveal: got %q", s.APIKey.Reveal())
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.Split(string(doc), "\n") {
		if strings.HasPrefix(line, "| `") && strings.Contains(line, "`MICROSTAX_") {
			rows++
		}
	}
	if rows != len(config.Table()) {
		t.Errorf("docs/configuration.md has %d settings, the program %d", rows, len(config.Table()))
	}
	for _, s := range config.Table() {
		row := "| `" + s.Key + "` | `" + s.Env + "` | "
		if s.Default != "" {
			row += "`" + s.Default + "` |"
		}
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/configuration.md lacks the row %s", row)
		}
	}
}
