// SPDX-License-Identifier: Apache-2.0

package blueprint

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Changes names the fields in which two forms of a service differ, sorted: command, env.LOG, ports, … Variables are named
// one by one. Values are never part of it; that a literal secret was replaced by another literal cannot be seen here.
func Changes(before, after Service) []string {
	a, b := fields(before), fields(after)
	var changed []string
	for k, v := range a {
		if !bytes.Equal(v, b[k]) {
			changed = append(changed, k)
		}
	}
	for k := range b {
		if _, there := a[k]; !there {
			changed = append(changed, k)
		}
	}
	slices.Sort(changed)
	return changed
}

// fields is the service's normal form as JSON, by field; the fields are those of the type, so that none can be forgotten.
func fields(s Service) map[string]json.RawMessage {
	s = withoutSecrets(normalService(clone(s)))
	env := s.Env
	s.Env = nil
	text, err := json.Marshal(s)
	if err != nil {
		panic("compare services: " + err.Error()) // see Digest
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &out); err != nil {
		panic("compare services: " + err.Error())
	}
	for k, v := range env {
		out["env."+k] = json.RawMessage(v)
	}
	return out
}
