// SPDX-License-Identifier: Apache-2.0

package blueprintfile

import (
	"reflect"
	"strings"
)

// fieldIndex gives the fields of a type that a file may set, by their names in it.
func fieldIndex(t reflect.Type) map[string]int {
	out := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "workdirImplied" { // set by reading, never written
			out[name] = i
		}
	}
	return out
}

// fieldNames are the names of those fields, in the order of the type.
func fieldNames(t reflect.Type) []string {
	var out []string
	index := fieldIndex(t)
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if _, ok := index[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

// noun is what a message calls a value of the type.
func noun(t reflect.Type) string {
	switch name := strings.ToLower(t.Name()); name {
	case "blueprint", "shadow", "gate", "routing":
		return "the " + strings.Replace(name, "blueprint", "Blueprint", 1)
	case "init", "ignore":
		return "an " + name + " entry"
	case "redact", "match", "exclude":
		return "a " + name + " entry"
	case "mockrule":
		return "a mock's rule"
	default:
		return "a " + name
	}
}

// otherName knows what the same thing is called in formats that people come from.
func otherName(typeName, written string) (string, bool) {
	key := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(written))
	names := map[string]map[string]string{
		"Service": {
			"environment": "env", "envs": "env", "variables": "env", "vars": "env",
			"cmd": "command", "entrypoint": "command", "args": "command", "run": "command", "exec": "command",
			"workingdir": "workdir", "cwd": "workdir", "dir": "workdir", "directory": "workdir",
			"depends": "dependsOn", "needs": "dependsOn", "links": "dependsOn", "requires": "dependsOn",
			"healthcheck": "probes", "readiness": "probes", "liveness": "probes", "readinessprobe": "probes", "livenessprobe": "probes",
			"url": "address", "host": "address", "endpoint": "address", "external": "address",
			"scale": "replicas", "instances": "replicas", "public": "expose", "limits": "resources",
		},
		"Port":  {"port": "containerPort", "targetport": "containerPort", "target": "containerPort", "published": "hostPort", "type": "protocol"},
		"Probe": {"path": "http", "httpget": "http", "command": "exec", "cmd": "exec", "test": "exec", "interval": "period", "periodseconds": "period", "timeoutseconds": "timeout", "startperiod": "startupTimeout"},
		"Shadow": {
			"sampling": "sample", "rate": "sample", "include": "match", "filter": "match", "skip": "exclude", "mask": "redact",
			"sessions": "session", "twin": "control", "gates": "gate", "sideeffects": "effects",
		},
		"Secret":  {"env": "envKey", "key": "envKey", "from": "value"},
		"Routing": {"baseline": "baselineId", "overlay": "overlayId", "header": "headerName", "key": "overlayId"},
	}
	name, ok := names[typeName][key]
	return name, ok
}
