// SPDX-License-Identifier: Apache-2.0

package dial

import "errors"

// IsReset says whether an error is that the peer ended one HTTP/2 stream.
func IsReset(err error) bool {
	var s streamError
	return errors.As(err, &s)
}

// streamError is what net/http's error of that kind, which has no exported type, can be read as: it fills any struct of
// these fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

// Error implements error.
func (streamError) Error() string { return "stream was reset" }
