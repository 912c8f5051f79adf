// SPDX-License-Identifier: Apache-2.0

package blueprintfile_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"microstax/internal/blueprint"
	"microstax/internal/blueprintfile"
)

const reference = "../../docs/blueprint.md"

// The reference names every field and every rule, and its examples are Blueprints.
func TestReferenceIsWhole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, name := range fieldsOf(reflect.TypeFor[blueprint.Blueprint](), map[reflect.Type]bool{}) {
		if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "probes."+name) {
			t.Errorf("%s does not name the field %s", reference, name)
		}
	}
	rules, err := os.ReadFile("../blueprint/rule.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`= "([a-z-]+)"`).FindAllStringSubmatch(string(rules), -1)
	for _, m := range found {
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("%s does not name the rule %s", reference, m[1])
		}
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(found) < 20 || len(examples) < 3 {
		t.Fatalf("found %d rules and %d examples", len(found), len(examples))
	}
	for _, m := range examples {
		if _, places := blueprintfile.Check([]byte(m[1]), reference, "/d", "", nil); len(places) > 0 {
			t.Errorf("an example is wrong: %v\n%s", places, m[1])
		}
	}
}

// fieldsOf lists the names of all fields that a file can set.
func fieldsOf(t reflect.Type, seen map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "workdirImplied" {
			out = append(append(out, name), fieldsOf(t.Field(i).Type, seen)...)
		}
	}
	return out
}
