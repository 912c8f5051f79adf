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
		"application/jsonlines", "application/x-json-stream", "application/stream+json", "application/json-seq":
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
	case "application/octet-stream", "application/pdf", "application/zip", "application/gzip",
		"application/wasm", "application/msgpack":
		return Binary, true
	case "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf", "application/proto",
		"application/x-google-protobuf":
		return Protobuf, true
	}
	switch {
	case strings.HasPrefix(media, "application/grpc"), strings.HasPrefix(media, "application/connect+"):
		return GRPC, true
	case strings.HasPrefix(media, "multipart/"):
		return Multipart, true
	case strings.HasSuffix(media, "+proto"), strings.HasSuffix(media, "+protobuf"):
		return Protobuf, true
	case strings.HasSuffix(media, "+json"):
		return JSON, true
	case strings.HasSuffix(media, "+xml"):
		return XML, true
	case strings.HasSuffix(media, "+yaml"), strings.HasPrefix(media, "text/"):
		return Text, true
	case strings.HasPrefix(media, "image/"), strings.HasPrefix(media, "audio/"), strings.HasPrefix(media, "video/"),
		strings.HasPrefix(media, "font/"):
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

// Sniff is the media type of bytes that begin as those of a well-known format do, or "".
func Sniff(data []byte) string {
	for _, m := range [...]struct {
		at          int
		magic, name string
	}{
		{0, "\x89PNG\r\n\x1a\n", "image/png"}, {0, "\xff\xd8\xff", "image/jpeg"}, {0, "GIF87a", "image/gif"},
		{0, "GIF89a", "image/gif"}, {8, "WEBP", "image/webp"}, {0, "BM", "image/bmp"}, {0, "\x00\x00\x01\x00", "image/x-icon"},
		{4, "ftypavif", "image/avif"}, {4, "ftyp", "video/mp4"}, {0, "\x1a\x45\xdf\xa3", "video/webm"}, {0, "OggS", "application/ogg"},
		{0, "ID3", "audio/mpeg"}, {8, "WAVE", "audio/wave"}, {0, "%PDF-", "application/pdf"}, {0, "PK\x03\x04", "application/zip"},
		{0, "\x1f\x8b", "application/gzip"}, {0, "\x28\xb5\x2f\xfd", "application/zstd"}, {0, "BZh", "application/x-bzip2"},
		{0, "\xfd7zXZ\x00", "application/x-xz"}, {0, "7z\xbc\xaf", "application/x-7z-compressed"}, {0, "\x00asm", "application/wasm"},
		{0, "\x7fELF", "application/x-elf"}, {0, "wOF2", "font/woff2"}, {0, "wOFF", "font/woff"}, {0, "PAR1", "application/vnd.apache.parquet"},
		{0, "SQLite format 3\x00", "application/vnd.sqlite3"}, {0, "ARROW1", "application/vnd.apache.arrow.file"},
	} {
		if len(data) >= m.at+len(m.magic) && string(data[m.at:m.at+len(m.magic)]) == m.magic {
			return m.name
		}
	}
	return ""
}
