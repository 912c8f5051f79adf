// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"strings"

	"microstax/internal/exchange"
)

// MediaType is the essence of a Content-Type value in lower case: type/subtype, without parameters (RFC 9110, 8.3.1).
func MediaType(contentType string) string {
	essence, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(essence))
}

// kindOf is the kind that a media type asks for, and whether the type is one that this package knows.
func kindOf(media string) (Kind, bool) {
	switch media {
	case "application/json", "text/json", "application/csp-report":
		return JSON, true
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
		"application/jsonlines", "application/x-json-stream", "application/stream+json":
		return JSONLines, true
	case "application/x-www-form-urlencoded":
		return Form, true
	case "text/event-stream":
		return Events, true
	case "text/html", "application/xhtml+xml":
		return HTML, true
	case "application/xml", "text/xml":
		return XML, true
	case "application/javascript", "application/ecmascript", "application/yaml", "application/x-yaml", "application/toml",
		"application/graphql", "application/sql", "application/openmetrics-text", "application/x-sh":
		return Text, true
	case "application/octet-stream", "application/pdf", "application/zip", "application/gzip", "application/grpc",
		"application/protobuf", "application/x-protobuf", "application/wasm", "application/msgpack":
		return Binary, true
	}
	switch {
	case strings.HasSuffix(media, "+json"):
		return JSON, true
	case strings.HasSuffix(media, "+xml"):
		return XML, true
	case strings.HasSuffix(media, "+yaml"), strings.HasPrefix(media, "text/"):
		return Text, true
	case strings.HasPrefix(media, "image/"), strings.HasPrefix(media, "audio/"), strings.HasPrefix(media, "video/"),
		strings.HasPrefix(media, "font/"), strings.HasPrefix(media, "application/grpc"):
		return Binary, true
	}
	return Text, false
}

// contentCodings is the value of all Content-Encoding lines, joined; "" when there is none but identity.
func contentCodings(headers []exchange.Header) string {
	joined := ""
	for i := range headers {
		if !exchange.EqualFold(headers[i].Name, "content-encoding") {
			continue
		}
		v := strings.TrimSpace(headers[i].Value)
		if v == "" || strings.EqualFold(v, "identity") {
			continue
		}
		if joined != "" {
			joined += ","
		}
		joined += v
	}
	return joined
}
