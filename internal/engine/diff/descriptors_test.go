// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"microstax/internal/engine/canon"
	"microstax/internal/engine/diff"
	"microstax/internal/exchange"
)

// shopDescriptors are those of
//
//	message Line { string sku = 1; int32 count = 2; }
//	message Order { int64 id = 1; double total = 2; repeated Line lines = 3; State state = 4; map<string, int32> tags = 5;
//	  repeated int32 sizes = 6; optional string note = 7; }
//	service Orders { rpc Get(Line) returns (Order); }
func shopDescriptors(t *testing.T) *canon.Descriptors {
	t.Helper()
	field := func(name string, n int32, typ descriptorpb.FieldDescriptorProto_Type, of string, repeated bool) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &n, Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if repeated {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		if of != "" {
			f.TypeName = &of
		}
		return f
	}
	note := field("note", 7, descriptorpb.FieldDescriptorProto_TYPE_STRING, "", false)
	note.Proto3Optional, note.OneofIndex = pb.Bool(true), pb.Int32(0)
	entry := &descriptorpb.DescriptorProto{Name: pb.String("TagsEntry"), Options: &descriptorpb.MessageOptions{MapEntry: pb.Bool(true)},
		Field: []*descriptorpb.FieldDescriptorProto{
			field("key", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, "", false),
			field("value", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32, "", false),
		}}
	file := &descriptorpb.FileDescriptorProto{
		Name: pb.String("shop.proto"), Package: pb.String("shop"), Syntax: pb.String("proto3"),
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: pb.String("State"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: pb.String("NEW"), Number: pb.Int32(0)}, {Name: pb.String("PAID"), Number: pb.Int32(1)}}}},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: pb.String("Line"), Field: []*descriptorpb.FieldDescriptorProto{
				field("sku", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, "", false),
				field("count", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32, "", false),
			}},
			{Name: pb.String("Order"), NestedType: []*descriptorpb.DescriptorProto{entry}, OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: pb.String("_note")}},
				Field: []*descriptorpb.FieldDescriptorProto{
					field("id", 1, descriptorpb.FieldDescriptorProto_TYPE_INT64, "", false),
					field("total", 2, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, "", false),
					field("lines", 3, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".shop.Line", true),
					field("state", 4, descriptorpb.FieldDescriptorProto_TYPE_ENUM, ".shop.State", false),
					field("tags", 5, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".shop.Order.TagsEntry", true),
					field("sizes", 6, descriptorpb.FieldDescriptorProto_TYPE_INT32, "", true),
					note,
				}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: pb.String("Orders"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: pb.String("Get"), InputType: pb.String(".shop.Line"), OutputType: pb.String(".shop.Order")}}}},
	}
	set, err := pb.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := canon.ParseDescriptors(set)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestProtobufWithDescriptors(t *testing.T) {
	t.Parallel()
	o := diff.Options{Descriptors: shopDescriptors(t)}
	line := func(sku string, n uint64) string { return string(message(nil).bytes(1, sku).varint(2, n)) }
	tag := func(k string, n uint64) string { return string(message(nil).bytes(1, k).varint(2, n)) }
	base := message(nil).varint(1, 7).fixed64(2, 0x4029000000000000).bytes(3, line("a", 1)).bytes(3, line("b", 2)).varint(4, 1).bytes(5, tag("x", 1)).bytes(6, "\x01\x02")
	for _, tc := range []struct {
		name string
		a, b message
		want []string
	}{
		{"packed or not", base, append(append(message(nil), base[:len(base)-4]...), message(nil).varint(6, 1).varint(6, 2)...), []string{"body.value $ bytes other"}},
		{"default on the wire", message(nil).varint(1, 0), message(nil), []string{"body.missing body presence missing"}},
		{"default on the wire, beside others", message(nil).varint(1, 0).varint(4, 1), message(nil).varint(4, 1), []string{"body.value $ bytes other"}},
		{"from the default", message(nil).varint(1, 5).varint(4, 1), message(nil).varint(4, 1), []string{"body.value $.id tolerant other number"}},
		{"enumeration", message(nil).varint(1, 5).varint(4, 1), message(nil).varint(1, 5), []string{"body.value $.state format other"}},
		{"in a list", base, message(append(append([]byte(nil), base...), message(nil).bytes(3, line("c", 9))...)), []string{"body.extra $.lines[*] presence extra"}},
		{"in a map", base, message(append(append([]byte(nil), base...), message(nil).bytes(5, tag("x", 2))...)), []string{"body.value $.tags.x tolerant other number"}},
		{"optional", base, message(append(append([]byte(nil), base...), message(nil).bytes(7, "")...)), []string{"body.extra $.note presence extra"}},
		{"unknown field", base, message(append(append([]byte(nil), base...), message(nil).varint(99, 1)...)), []string{"body.extra $.#99 presence extra"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			typed := func(m message) *exchange.Exchange {
				return answer(200, "application/x-protobuf; messageType=shop.Order", string(m))
			}
			if d := cmp.Diff(tc.want, show(diff.Exchanges(typed(tc.a), typed(tc.b), o))); d != "" {
				t.Fatalf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestGRPCKnowsItsMethod(t *testing.T) {
	t.Parallel()
	call := func(m message) *exchange.Exchange {
		e := answer(200, "application/grpc+proto", frame(0, m))
		e.Request.Target = "/shop.Orders/Get"
		return e
	}
	got := show(diff.Exchanges(call(message(nil).varint(1, 5)), call(message(nil).varint(1, 6)), diff.Options{Descriptors: shopDescriptors(t)}))
	if d := cmp.Diff([]string{"body.value $.id tolerant other number"}, got); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}
