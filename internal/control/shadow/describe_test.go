// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/control/shadow"
	"microstax/internal/environment"
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
	var ses environment.Session
	err := shadow.Describe(&ses, "orders", blueprint.Shadow{OpenAPI: write("good.yaml", good)})
	if err != nil || ses.OpenAPI["orders"] != good || !strings.HasPrefix(ses.Artifacts["openapi/orders"], "sha256:") {
		t.Errorf("got %+v, %v", ses, err)
	}
	for name, path := range map[string]string{
		"missing": filepath.Join(dir, "none.yaml"), "a folder": dir, "empty": write("empty.yaml", ""), "swagger": write("s.json", `{"swagger":"2.0"}`),
	} {
		for _, set := range []blueprint.Shadow{{OpenAPI: path}, {Protobuf: path}} {
			if name == "empty" && set.Protobuf != "" {
				continue // no files at all: a set, if a useless one
			}
			if err := shadow.Describe(&ses, "orders", set); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "orders") {
				t.Errorf("%s: %+v: %v", name, set, err)
			}
		}
	}
}
