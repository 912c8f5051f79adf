// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"os"
	"path/filepath"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/control/shadow"
)

func TestArtifactFollowsWhatACommandNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("serve", "one")
	write("app.conf", "a=1")
	s := blueprint.Service{Name: "x", Workdir: dir, Command: []string{"./serve", "app.conf", "--port", "$PORT"}}
	first := shadow.Artifact(s)
	if first == "" {
		t.Fatal("no digest for a program that exists")
	}
	if again := shadow.Artifact(s); again != first {
		t.Fatalf("the same files: got %s, then %s", first, again)
	}
	write("serve", "two")
	second := shadow.Artifact(s)
	if second == first {
		t.Fatal("a new build has the old digest")
	}
	write("app.conf", "a=2")
	if shadow.Artifact(s) == second {
		t.Fatal("a changed argument file has the old digest")
	}
}

func TestArtifactOfNothingReadableIsEmpty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, command := range map[string][]string{
		"no command": nil, "no file": {"./missing", "-x"}, "a folder": {dir}, "not in PATH": {"no-such-program-anywhere"},
	} {
		if got := shadow.Artifact(blueprint.Service{Workdir: dir, Command: command}); got != "" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
