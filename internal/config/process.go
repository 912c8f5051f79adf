// SPDX-License-Identifier: Apache-2.0

package config

import "os"

// Process is Options of the process that runs: its environment and its files.
func Process(flags map[string]string) Options {
	return Options{Getenv: os.Getenv, ReadFile: os.ReadFile, Flags: flags}
}

// Inherited is the environment that started processes inherit, as NAME=VALUE.
func Inherited() []string { return os.Environ() }

// Lookup is one variable of the environment, for the few programs that are told things by it alone.
func Lookup(name string) (string, bool) { return os.LookupEnv(name) }
