// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"microstax/internal/control/shadow"
	"microstax/internal/fault"
)

func TestDescription(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "openapi: 3.0.0\npaths: {/a: {get: {responses: {default: {description: any}}}}}"
	doc, digest, err := shadow.Description("orders", write("good.yaml", good))
	if err != nil || doc != good || !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("got %q, %q, %v", doc, digest, err)
	}
	for name, path := range map[string]string{
		"missing": filepath.Join(dir, "none.yaml"), "a folder": dir, "empty": write("empty.yaml", ""), "swagger": write("s.json", `{"swagger":"2.0"}`),
	} {
		if _, _, err := shadow.Description("orders", path); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "orders") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
