// SPDX-License-Identifier: Apache-2.0

package canon

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Descriptors say what messages of protobuf mean. They are read-only once made.
type Descriptors struct{ files *protoregistry.Files }

// ParseDescriptors reads a serialised google.protobuf.FileDescriptorSet, as protoc --descriptor_set_out --include_imports or
// buf build -o writes it, and as gRPC reflection gives it file by file.
func ParseDescriptors(set []byte) (*Descriptors, error) {
	var files descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &files); err != nil {
		return nil, fmt.Errorf("read descriptor set: %w", err)
	}
	return NewDescriptors(&files)
}

// NewDescriptors links the files of a set, which must hold all that they import.
func NewDescriptors(set *descriptorpb.FileDescriptorSet) (*Descriptors, error) {
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("link descriptor set: %w", err)
	}
	return &Descriptors{files: files}, nil
}

// message is the type of a body: by the method that the target names, or by the media type's messageType, proto or type
// parameter; nil when nothing says it.
func (d *Descriptors) message(contentType string, ctx Context) protoreflect.MessageDescriptor {
	if d == nil {
		return nil
	}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		if name := cmp.Or(params["messagetype"], params["proto"], params["type"]); name != "" {
			return d.named(name)
		}
	}
	path, _, _ := strings.Cut(ctx.Target, "?")
	service, method, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return nil
	}
	found, err := d.files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	s, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	m := s.Methods().ByName(protoreflect.Name(method))
	switch {
	case m == nil:
		return nil
	case ctx.Request:
		return m.Input()
	}
	return m.Output()
}

func (d *Descriptors) named(name string) protoreflect.MessageDescriptor {
	if d == nil {
		return nil
	}
	found, err := d.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	m, _ := found.(protoreflect.MessageDescriptor)
	return m
}

// parseProtobuf reads one message, or with encoding=delimited any number of them behind their lengths.
func parseProtobuf(data []byte, contentType string, ctx Context, l Limits) (*Tree, error) {
	b := newBuilder(nil, l)
	md := ctx.Descriptors.message(contentType, ctx)
	_, params, _ := mime.ParseMediaType(contentType)
	return b.tree("protobuf", func() error {
		if params["encoding"] != "delimited" {
			return b.message("", 0, data, md, ctx.Descriptors)
		}
		if err := b.begin("", Element, 0); err != nil {
			return err
		}
		for len(data) > 0 {
			one, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return protowire.ParseError(n)
			}
			if err := b.message(TextName, 0, one, md, ctx.Descriptors); err != nil {
				return err
			}
			data = data[n:]
		}
		return b.end()
	}())
}

// message adds a message under a name; of a type that is not known as it is on the wire.
func (b *builder) message(name string, tag Tag, data []byte, md protoreflect.MessageDescriptor, d *Descriptors) error {
	if md == nil {
		return b.wireMessage(name, tag, data, 0)
	}
	left := b.lim.Nodes - len(b.t.nodes)
	if err := countFields(data, md, &left, b.lim.Depth-len(b.open)); err != nil {
		return err
	}
	m := dynamicpb.NewMessage(md)
	// Without a resolver extensions stay unknown fields, which are compared as they are on the wire.
	o := proto.UnmarshalOptions{AllowPartial: true, RecursionLimit: b.lim.Depth, Resolver: new(protoregistry.Types)}
	if err := o.Unmarshal(data, m); err != nil {
		return err
	}
	return b.fields(name, m, d)
}

// countFields refuses a message that would take more values than are left, before anything is made of it.
func countFields(data []byte, md protoreflect.MessageDescriptor, left *int, depth int) error {
	if depth <= 0 {
		return errors.New("nested too deep")
	}
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(num, typ, data[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		value := data[n : n+m]
		data = data[n+m:]
		*left--
		fd := md.Fields().ByNumber(num)
		if fd != nil && typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
			switch {
			case fd.Message() != nil:
				if err := countFields(value, fd.Message(), left, depth-1); err != nil {
					return err
				}
			case fd.IsList() && fd.Kind() != protoreflect.StringKind && fd.Kind() != protoreflect.BytesKind:
				*left -= len(value) // packed: at least one byte each
			}
		}
		if *left < 0 {
			return errors.New("more values than are compared")
		}
	}
	return nil
}

// fields adds a message, its fields by number and then those that its type does not know. A scalar without presence has its
// default value when it is not on the wire.
func (b *builder) fields(name string, m protoreflect.Message, d *Descriptors) error {
	if text, ok := wellKnown(m); ok {
		return b.text(name, text)
	}
	if err := b.begin(name, Element, 0); err != nil {
		return err
	}
	fields := m.Descriptor().Fields()
	known := make([]protoreflect.FieldDescriptor, fields.Len())
	for i := range known {
		known[i] = fields.Get(i)
	}
	slices.SortFunc(known, func(x, y protoreflect.FieldDescriptor) int { return cmp.Compare(x.Number(), y.Number()) })
	packed := b.inner(m, d)
	for _, fd := range known {
		if fd.HasPresence() && !m.Has(fd) || packed != nil && fd.Number() == 2 {
			continue
		}
		if err := b.field(fd, m.Get(fd), d); err != nil {
			return err
		}
	}
	if packed != nil {
		if err := b.message("value", 0, m.Get(m.Descriptor().Fields().ByNumber(2)).Bytes(), packed, d); err != nil {
			return err
		}
	}
	if err := b.wire(m.GetUnknown(), 0); err != nil {
		return err
	}
	return b.end()
}

// inner is the type of the message within a google.protobuf.Any, where it is known.
func (b *builder) inner(m protoreflect.Message, d *Descriptors) protoreflect.MessageDescriptor {
	if m.Descriptor().FullName() != "google.protobuf.Any" {
		return nil
	}
	url := m.Get(m.Descriptor().Fields().ByNumber(1)).String()
	return d.named(url[strings.LastIndexByte(url, '/')+1:])
}

// wellKnown writes times and durations as what they are.
func wellKnown(m protoreflect.Message) (string, bool) {
	name := m.Descriptor().FullName()
	if name != "google.protobuf.Timestamp" && name != "google.protobuf.Duration" || len(m.GetUnknown()) > 0 {
		return "", false
	}
	fields := m.Descriptor().Fields()
	sec, nano := m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()
	const far = 1 << 33
	if sec > far || sec < -far || nano >= 1e9 || nano <= -1e9 {
		return "", false
	}
	if name == "google.protobuf.Timestamp" {
		return time.Unix(sec, nano).UTC().Format(time.RFC3339Nano), true
	}
	return (time.Duration(sec)*time.Second + time.Duration(nano)).String(), true
}

func (b *builder) field(fd protoreflect.FieldDescriptor, v protoreflect.Value, d *Descriptors) error {
	name := fd.TextName()
	switch {
	case fd.IsMap():
		return b.mapField(name, fd, v.Map(), d)
	case fd.IsList():
		if err := b.begin(name, Array, 0); err != nil {
			return err
		}
		for i := range v.List().Len() {
			if err := b.single("", fd, v.List().Get(i), d); err != nil {
				return err
			}
		}
		return b.end()
	}
	return b.single(name, fd, v, d)
}

func (b *builder) mapField(name string, fd protoreflect.FieldDescriptor, m protoreflect.Map, d *Descriptors) error {
	if err := b.begin(name, Object, 0); err != nil {
		return err
	}
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(x, y protoreflect.MapKey) int { return strings.Compare(x.String(), y.String()) })
	for _, k := range keys {
		if err := b.single(k.String(), fd.MapValue(), m.Get(k), d); err != nil {
			return err
		}
	}
	return b.end()
}

// single adds one value that is neither list nor map.
func (b *builder) single(name string, fd protoreflect.FieldDescriptor, v protoreflect.Value, d *Descriptors) error {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return b.fields(name, v.Message(), d)
	case protoreflect.BoolKind:
		return b.leaf(name, Bool, 0, strconv.AppendBool(nil, v.Bool()))
	case protoreflect.StringKind:
		return b.text(name, v.String())
	case protoreflect.BytesKind:
		return b.text(name, base64.StdEncoding.EncodeToString(v.Bytes()))
	case protoreflect.EnumKind:
		if e := fd.Enum().Values().ByNumber(v.Enum()); e != nil {
			return b.text(name, string(e.Name()))
		}
		return b.text(name, strconv.Itoa(int(v.Enum())))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		width := 64
		if fd.Kind() == protoreflect.FloatKind {
			width = 32
		}
		typ := Number
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			typ = String
		}
		return b.leaf(name, typ, 0, strconv.AppendFloat(nil, v.Float(), 'g', -1, width))
	default: // whole numbers
		return b.leaf(name, Number, 0, []byte(v.String()))
	}
}
