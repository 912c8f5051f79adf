// SPDX-License-Identifier: Apache-2.0

// Package id makes identifiers: a prefix that says what is named, and either a sortable random part (ULID, lower case)
// or, for things that must have the same id every time they are seen, a digest of what they are.
//
// It holds no state; the clock and the source of randomness are arguments.
package id

import (
	"crypto/sha256"
	"encoding/base32"
	"io"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// Prefix names the kind of thing that an id identifies.
type Prefix string

// The prefixes in use. They are part of the contract.
const (
	Environment Prefix = "env"
	Session     Prefix = "ses" // a shadow session
	Observation Prefix = "obs"
	Finding     Prefix = "fnd"
	Snapshot    Prefix = "snap"
	Capture     Prefix = "cap"
	Seed        Prefix = "seed"
	Share       Prefix = "shr"
	Audit       Prefix = "aud"
	Request     Prefix = "req"
	Rule        Prefix = "rule" // an ignore rule
)

// New makes prefix_ plus a 26-character lower-case ULID of now and entropy. It panics only if entropy fails, which
// crypto/rand does not do.
func New(p Prefix, now time.Time, entropy io.Reader) string {
	return string(p) + "_" + strings.ToLower(ulid.MustNew(ulid.Timestamp(now), entropy).String())
}

// Stable makes prefix_ plus 20 characters of a SHA-256 over the parts. The same parts always give the same id; parts are
// delimited, so ("ab","c") and ("a","bc") differ.
func Stable(p Prefix, parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		io.WriteString(h, s) //nolint:errcheck // hash.Hash never fails
		h.Write([]byte{0x1f})
	}
	enc := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil))
	return string(p) + "_" + strings.ToLower(enc[:20])
}

// Has says whether s carries the given prefix.
func Has(s string, p Prefix) bool { return strings.HasPrefix(s, string(p)+"_") }
