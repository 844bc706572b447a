package schemas

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A few architectures written in both ways.
const (
	nb201Ops   = `"ops":["input","avg_pool_3x3","nor_conv_1x1","none","nor_conv_1x1","skip_connect","skip_connect","output"]`
	nb201Edges = `"edges":[[0,1],[0,2],[0,4],[1,3],[1,5],[2,6],[3,6],[4,7],[5,7],[6,7]]`
	nb201Arch  = `"arch":"|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"`
	chain      = `"ops":["input","a","output"],"edges":[[0,1],[1,2]]`
)

// example is a message, the class of its rejection ("" for none) and a part of the
// reason. onlyDecoder marks faults that a JSON Schema cannot express.
type example struct {
	name, value, class, reason string
	onlyDecoder                bool
}

func nodes(n int) string {
	return `"ops":[` + strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") + `],"edges":[]`
}

func candidateExamples() []example {
	dag := func(fields string) string { return `{"space":"dag",` + fields + `}` }
	return []example{
		// Legal.
		{name: "graph", value: `{"space":"nb201",` + nb201Ops + `,` + nb201Edges + `}`},
		{name: "arch", value: `{"space":"nb201",` + nb201Arch + `}`},
		{name: "both", value: `{"space":"nb201",` + nb201Arch + `,` + nb201Ops + `,` + nb201Edges + `,"labels":{"x":1}}`},
		{name: "everything", value: ` { "space" : "dag" , "id" : {"a": [1, 2]} , ` + chain + ` , "proxies" : { "synflow" : 1.5e0 , "nwot" : null } , "meta" : { "k" : [ "v w" ] } } `},
		{name: "one node", value: dag(nodes(1))},
		{name: "2000 nodes", value: dag(nodes(2000))},
		{name: "any order", value: dag(`"ops":["output","b","input"],"edges":[[2,1],[1,0]]`)},
		{name: "two inputs", value: dag(`"ops":["input","input","add","output"],"edges":[[0,2],[1,2],[2,3]]`)},
		{name: "disconnected", value: dag(`"ops":["input","a","output"],"edges":[[0,1]]`)},
		{name: "repeated edge", value: dag(`"ops":["input","output"],"edges":[[0,1],[0,1]]`)},
		{name: "nulls", value: dag(chain + `,"id":null,"arch":null,"meta":null,"proxies":null,"ops_reduce":null,"edges_reduce":null`)},
		{name: "last wins", value: dag(`"ops":["x"],"edges":[[5,5]],` + chain)},
		{name: "escaped names", value: `{"sp\u0061ce":"dag","ops":["in\u0070ut","\ud83d\ude00","output"],"edges":[[0,1],[1,2]]}`},
		{name: "two cells", value: dag(chain + `,"ops_reduce":["input","b","output"],"edges_reduce":[[0,1],[1,2]]`)},
		{name: "second cell empty", value: dag(chain + `,"ops_reduce":[],"edges_reduce":[]`)},
		{name: "unknown fields", value: dag(chain + `,"Ops":7,"x":{"y":[true,false,null,-0.5E+2]}`)},
		{name: "NaN where nothing is read", value: dag(chain + `,"labels":{"loss":NaN,"a":[-Infinity,Infinity]}`), onlyDecoder: true},

		{name: "proxies that are no numbers", value: dag(chain + `,"proxies":{"a":NaN,"b":-Infinity,"c":1,"d":Infinity}`), onlyDecoder: true},
		{name: "named space", value: `{"space":"My.own_space-1",` + chain + `}`},
		{name: "attributes", value: dag(`"ops":["input",{"op":"conv","k":3,"act":"relu","bias":true,"none":null},{"op":"output"}],"edges":[[0,1],[1,2]]`)},
		{name: "attributes of a closed space", value: `{"space":"nb101","ops":["input",{"op":"maxpool3x3","k":3},"output"],"edges":[[0,1],[1,2]]}`},
		{name: "attributes of a second cell", value: dag(chain + `,"ops_reduce":["input",{"op":"b","k":3}],"edges_reduce":[[0,1]]`)},
		{name: "hyperparameters", value: dag(chain + `,"hyperparameters":{"lr":1e-3,"heads":[3,3,6],"act":"gelu","ema":false,"x":null,"e":[]}`)},
		{name: "hyperparameters alone", value: `{"space":"vit-size","hyperparameters":{"depth":12}}`},
		{name: "no hyperparameters", value: dag(chain + `,"hyperparameters":null`)},
		{name: "edge_ops", value: dag(`"edges":[[0,1],[1,2],[0,2]],"edge_ops":["conv",{"op":"pool","k":3},"skip"]`)},
		{name: "edge_ops beside ops", value: dag(chain + `,"edge_ops":["conv","skip"]`)},
		{name: "operations as third elements", value: dag(`"ops":["input","a","output"],"edges":[[0,1,"conv"],[1,2,{"op":"skip","k":1}],[0,2]]`)},
		{name: "third elements alone", value: dag(`"edges":[[0,1,"conv"],[1,2,"skip"]]`)},
		{name: "adjacency", value: dag(`"ops":["input","a","output"],"adjacency":[[0,1,0],[0,0,1],[0,0,0]]`)},
		{name: "adjacency beside edges is not read", value: dag(chain + `,"matrix":"reloaded","adjacency":7`)},
		{name: "nb101 modules", value: `{"space":"nb101","module_adjacency":[[0,1,0],[0,0,1],[0,0,0]],"module_operations":["input","conv3x3-bn-relu","output"]}`},
		{name: "nb101 matrix", value: `{"space":"nb101","matrix":[[0,1.0,0],[0,0,true],[0,0,0]],"ops":["input","conv3x3-bn-relu","output"]}`, onlyDecoder: true},
		{name: "whole numbers as floats", value: dag(`"ops":["a","b"],"edges":[[0.0,1e0]]`)},

		// Attributes and near misses.
		{name: "op of an object", value: dag(`"ops":[{"op":1}],"edges":[]`), class: ClassWrongType, reason: `"ops.op"`},
		{name: "object without op", value: dag(`"ops":[{"k":1}],"edges":[]`), class: ClassMissingField, reason: `without "op"`},
		{name: "object with an empty op", value: dag(`"ops":[{"op":""}],"edges":[]`), class: ClassValue},
		{name: "attribute a list", value: dag(`"ops":[{"op":"a","k":[3,3]}],"edges":[]`), class: ClassWrongType, reason: `"ops.k" at byte 36: want a number, true, false or a string, found a list`},
		{name: "attribute NaN", value: dag(`"ops":[{"op":"a","k":NaN}],"edges":[]`), class: ClassNotFinite, reason: "ops.k", onlyDecoder: true},
		{name: "attribute infinite", value: dag(`"ops":[{"op":"a","k":-Infinity}],"edges":[]`), class: ClassNotFinite, onlyDecoder: true},
		{name: "attribute beyond float64", value: dag(`"ops":[{"op":"a","k":1e999}],"edges":[]`), class: ClassNotFinite, onlyDecoder: true},
		{name: "attribute without a name", value: dag(`"ops":[{"op":"a","":1}],"edges":[]`), class: ClassValue},
		{name: "attribute long", value: dag(`"ops":[{"op":"a","k":"` + strings.Repeat("x", 257) + `"}],"edges":[]`), class: ClassTooLarge},
		{name: "too many attributes", value: dag(`"ops":[{"op":"a",` + manyProxies(65) + `}],"edges":[]`), class: ClassTooLarge},
		{name: "hyperparameters a list", value: dag(chain + `,"hyperparameters":[1]`), class: ClassWrongType, reason: `"hyperparameters"`},
		{name: "hyperparameter an object", value: dag(chain + `,"hyperparameters":{"a":{"b":1}}`), class: ClassWrongType, reason: `"hyperparameters.a"`},
		{name: "hyperparameter nested", value: dag(chain + `,"hyperparameters":{"a":[[1]]}`), class: ClassWrongType, reason: `"hyperparameters.a.0"`},
		{name: "hyperparameter null in a list", value: dag(chain + `,"hyperparameters":{"a":[null]}`), class: ClassWrongType},
		{name: "hyperparameters twice", value: dag(chain + `,"hyperparameters":{"a":[1],"a.0":2}`), class: ClassConflict, reason: `"a.0"`, onlyDecoder: true},
		{name: "hyperparameters empty and alone", value: dag(`"hyperparameters":{}`), class: ClassEmpty},
		{name: "hyperparameters alone in a closed space", value: `{"space":"nb201","hyperparameters":{"a":1}}`, class: ClassMissingField, onlyDecoder: true},
		{name: "too many hyperparameters", value: dag(chain + `,"hyperparameters":{"a":[` + strings.Repeat("1,", 1024) + `1]}`), class: ClassTooLarge},
		{name: "edge_ops missing", value: dag(`"edges":[[0,1],[1,2]],"edge_ops":["conv"]`), class: ClassValue, reason: "1 operations for 2 edges", onlyDecoder: true},
		{name: "edge_ops without edges", value: dag(`"edge_ops":["conv"]`), class: ClassMissingField},
		{name: "edge_ops twice", value: dag(`"edges":[[0,1,"a"]],"edge_ops":["conv"]`), class: ClassConflict, onlyDecoder: true},
		{name: "edge without operation", value: dag(`"edges":[[0,1,"a"],[1,2]]`), class: ClassMissingField, reason: "edge 1 has no operation", onlyDecoder: true},
		{name: "edge of two operations", value: dag(`"edges":[[0,1,"a","b"]]`), class: ClassWrongType},
		{name: "cycle of edge_ops", value: dag(`"edges":[[0,1],[1,0]],"edge_ops":["a","b"]`), class: ClassCycle, onlyDecoder: true},
		{name: "self-loop of edge_ops", value: dag(`"edges":[[0,0]],"edge_ops":["a"]`), class: ClassSelfLoop, onlyDecoder: true},
		{name: "node on no edge", value: dag(`"edges":[[0,2]],"edge_ops":["a"]`), class: ClassEdgeRange, reason: "node 1", onlyDecoder: true},
		{name: "matrix of other numbers", value: dag(`"ops":["a","b"],"adjacency":[[0,2],[0,0]]`), class: ClassValue, reason: "row 0, column 1 is neither 0 nor 1"},
		{name: "matrix not square", value: dag(`"ops":["a","b"],"adjacency":[[0,1,0],[0,0,0]]`), class: ClassValue, onlyDecoder: true},
		{name: "matrix of another size", value: dag(`"ops":["a","b"],"adjacency":[[0]]`), class: ClassValue, reason: "1 rows for 2 operations", onlyDecoder: true},
		{name: "matrix of nothing", value: dag(`"ops":["a"],"adjacency":"x"`), class: ClassValue, reason: "adjacency"},
		{name: "arch_str", value: `{"space":"nb201","arch_str":"|none~0|"}`, class: ClassMissingField, reason: `give it as "arch"`},
		{name: "node-link", value: dag(`"nodes":[],"links":[]`), class: ClassMissingField, reason: "archflow import"},
		{name: "an object as arch", value: `{"space":"nb301","arch":{"normal/op_2_0":"sep_conv_3x3"}}`, class: ClassWrongType, reason: "archflow import"},
		{name: "likely space", value: `{"space":"nb210",` + nb201Arch + `}`, class: ClassMissingField, reason: `Is it "nb201" that was meant?`},
		{name: "space of dots", value: `{"space":"..",` + chain + `}`, class: ClassUnknownSpace, onlyDecoder: true},

		// JSON.
		{name: "empty", value: ``, class: ClassEmpty, reason: "no value", onlyDecoder: true},
		{name: "cut", value: `{"space":"dag","ops":["inp`, class: ClassJSON, reason: "ends at byte 26", onlyDecoder: true},
		{name: "NaN", value: dag(chain + `,"x":1,"ops":NaN`), class: ClassJSON, reason: "NaN at byte", onlyDecoder: true},
		{name: "NaN in meta", value: dag(chain + `,"meta":{"a":NaN}`), class: ClassJSON, reason: "NaN", onlyDecoder: true},
		{name: "trailing", value: dag(chain) + `{}`, class: ClassJSON, reason: "after the end", onlyDecoder: true},
		{name: "trailing comma", value: dag(`"ops":["a",],"edges":[]`), class: ClassJSON, onlyDecoder: true},
		{name: "leading zero", value: dag(`"ops":["a","b"],"edges":[[00,1]]`), class: ClassJSON, onlyDecoder: true},
		{name: "control character", value: dag("\"ops\":[\"a\n\"],\"edges\":[]"), class: ClassJSON, onlyDecoder: true},
		{name: "bad escape", value: dag(`"ops":["\x"],"edges":[]`), class: ClassJSON, onlyDecoder: true},
		{name: "single quotes", value: `{'space':'dag'}`, class: ClassJSON, onlyDecoder: true},
		{name: "bad number in ignored field", value: dag(chain + `,"x":1.`), class: ClassJSON, onlyDecoder: true},
		{name: "cut UTF-8", value: "{\"space\":\"dag\",\"ops\":[\"\xc3\"],\"edges\":[]}", class: ClassUTF8, reason: "0xc3 at byte 23", onlyDecoder: true},
		{name: "cut UTF-8 in ignored field", value: "{\"space\":\"dag\",\"x\":\"\xe2\x82\"}", class: ClassUTF8, onlyDecoder: true},
		{name: "deep", value: dag(chain + `,"meta":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), class: ClassTooDeep, reason: "deeper than 64", onlyDecoder: true},
		{name: "beyond float64", value: dag(chain + `,"proxies":{"a":1e999}`), class: ClassNotFinite, reason: "1e999", onlyDecoder: true},

		// Types.
		{name: "list", value: `[1]`, class: ClassWrongType, reason: "a list at byte 0"},
		{name: "null message", value: `null`, class: ClassWrongType},
		{name: "space", value: `{"space":7,` + chain + `}`, class: ClassWrongType, reason: `"space" at byte 9: want a string, found a number`},
		{name: "arch", value: `{"space":"nb201","arch":1}`, class: ClassWrongType, reason: "found a number"},
		{name: "ops", value: dag(`"ops":"a","edges":[]`), class: ClassWrongType},
		{name: "op", value: dag(`"ops":["a",1],"edges":[]`), class: ClassWrongType, reason: "quote it"},
		{name: "op null", value: dag(`"ops":["a",null],"edges":[]`), class: ClassWrongType},
		{name: "edges", value: dag(`"ops":["a"],"edges":{}`), class: ClassWrongType},
		{name: "edge", value: dag(`"ops":["a","b"],"edges":["01"]`), class: ClassWrongType},
		{name: "edge of three", value: dag(`"ops":["a","b"],"edges":[[0,1,1]]`), class: ClassWrongType, reason: "an edge of 3 numbers"},
		{name: "edge of one", value: dag(`"ops":["a","b"],"edges":[[0]]`), class: ClassWrongType},
		{name: "fraction", value: dag(`"ops":["a","b"],"edges":[[0,1.5]]`), class: ClassWrongType, reason: "1.5"},
		{name: "proxies", value: dag(chain + `,"proxies":[1]`), class: ClassWrongType},
		{name: "proxy", value: dag(chain + `,"proxies":{"a":"1"}`), class: ClassWrongType},

		// Fields.
		{name: "no space", value: `{` + chain + `}`, class: ClassMissingField, reason: `"space" is missing`},
		{name: "no architecture", value: `{"space":"nb201"}`, class: ClassMissingField, reason: "architecture is missing"},
		{name: "no ops", value: `{"space":"dag","edges":[]}`, class: ClassMissingField},
		{name: "no edges", value: `{"space":"dag","ops":["a"]}`, class: ClassMissingField, reason: `"edges" is missing`},
		{name: "arch in dag", value: `{"space":"dag","arch":"x"}`, class: ClassMissingField, reason: "no notation"},
		{name: "half a cell", value: dag(chain + `,"ops_reduce":["a"]`), class: ClassMissingField, onlyDecoder: true},
		{name: "no nodes", value: dag(`"ops":[],"edges":[]`), class: ClassEmpty},
		{name: "name empty", value: dag(`"ops":[""],"edges":[]`), class: ClassValue},
		{name: "name long", value: dag(`"ops":["` + strings.Repeat("x", 257) + `"],"edges":[]`), class: ClassValue},
		{name: "proxy name long", value: dag(chain + `,"proxies":{"` + strings.Repeat("x", 257) + `":1}`), class: ClassValue, onlyDecoder: true},
		{name: "unknown space", value: `{"space":"my space",` + chain + `}`, class: ClassUnknownSpace, reason: `one of nb101,`},
		{name: "unknown operation", value: `{"space":"nb201",` + strings.Replace(nb201Ops, "none", "conv7x7", 1) + `,` + nb201Edges + `}`,
			class: ClassUnknownOperation, reason: `ops[3]: space "nb201" has no operation "conv7x7"`, onlyDecoder: true},

		// Graphs.
		{name: "out of range", value: dag(`"ops":["a","b"],"edges":[[0,2]]`), class: ClassEdgeRange, reason: "[0, 2]", onlyDecoder: true},
		{name: "negative", value: dag(`"ops":["a","b"],"edges":[[0,1],[-1,1]]`), class: ClassEdgeRange, reason: "no node -1"},
		{name: "huge", value: dag(`"ops":["a","b"],"edges":[[0,99999999999999999999]]`), class: ClassEdgeRange, onlyDecoder: true},
		{name: "self-loop", value: dag(`"ops":["a","b"],"edges":[[0,1],[1,1]]`), class: ClassSelfLoop, reason: "node 1 to itself", onlyDecoder: true},
		{name: "cycle", value: dag(`"ops":["a","b","c","d"],"edges":[[0,1],[1,2],[2,1],[2,3]]`), class: ClassCycle, reason: "lies on a cycle", onlyDecoder: true},
		{name: "5000 nodes", value: dag(nodes(5000)), class: ClassTooLarge, reason: "more than 2000 nodes"},
		{name: "too many in two cells", value: dag(nodes(1500) + `,"ops_reduce":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 501), ",") + `],"edges_reduce":[]`), class: ClassTooLarge, onlyDecoder: true},
		{name: "too many edges", value: dag(`"ops":["a","b"],"edges":[` + strings.TrimSuffix(strings.Repeat("[0,1],", 40001), ",") + `]`), class: ClassTooLarge},
		{name: "too many proxies", value: dag(chain + `,"proxies":{` + manyProxies(65) + `}`), class: ClassTooLarge},
		{name: "large message", value: dag(chain + `,"x":"` + strings.Repeat("x", 1<<20) + `"`), class: ClassTooLarge, onlyDecoder: true},
		{name: "large id", value: dag(chain + `,"id":"` + strings.Repeat("x", 5000) + `"`), class: ClassTooLarge, onlyDecoder: true},
		{name: "large meta", value: dag(chain + `,"meta":"` + strings.Repeat("x", 1<<17) + `"`), class: ClassTooLarge, onlyDecoder: true},

		// Rules and notations.
		{name: "nb101 nodes", value: `{"space":"nb101","ops":["input","maxpool3x3","maxpool3x3","maxpool3x3","maxpool3x3","maxpool3x3","maxpool3x3","output"],"edges":[]}`, class: ClassRule, reason: "8 nodes", onlyDecoder: true},
		{name: "nb101 edges", value: `{"space":"nb101","arch":"5|0111100111000110000100000|000"}`, class: ClassRule, reason: "10 edges", onlyDecoder: true},
		{name: "nb101 two inputs", value: `{"space":"nb101","ops":["input","input","output"],"edges":[[0,2],[1,2]]}`, class: ClassRule, reason: "one of each", onlyDecoder: true},
		{name: "nb101 second cell", value: `{"space":"nb101","ops":["input","output"],"edges":[[0,1]],"ops_reduce":["input"],"edges_reduce":[]}`, class: ClassRule, onlyDecoder: true},
		{name: "nb101 bits", value: `{"space":"nb101","arch":"3|0100010|0"}`, class: ClassNotation, reason: "9 bits", onlyDecoder: true},
		{name: "nb101 bit", value: `{"space":"nb101","arch":"3|010002000|0"}`, class: ClassNotation, reason: "byte 7", onlyDecoder: true},
		{name: "nb101 digit", value: `{"space":"nb101","arch":"3|010001000|3"}`, class: ClassNotation, onlyDecoder: true},
		{name: "nb101 self-loop", value: `{"space":"nb101","arch":"3|010011000|0"}`, class: ClassSelfLoop, onlyDecoder: true},
		{name: "nb201 notation", value: `{"space":"nb201","arch":"|none~0|+|none~0|none~2|+|none~0|none~1|none~2|"}`, class: ClassNotation, reason: "byte 22", onlyDecoder: true},
		{name: "nb201 cut", value: `{"space":"nb201","arch":"|none~0|+|none~0|"}`, class: ClassNotation, onlyDecoder: true},
		{name: "nb201 operation", value: `{"space":"nb201","arch":"|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|"}`, class: ClassUnknownOperation, onlyDecoder: true},
		{name: "nb301 order", value: `{"space":"nb301","arch":"[[(2,4)]]"}`, class: ClassNotation, onlyDecoder: true},
		{name: "nb201 tuple of five", value: `{"space":"nb201","arch":"(4, 0, 3, 1, 4)"}`, class: ClassNotation, reason: "six numbers", onlyDecoder: true},
		{name: "nb201 tuple beyond", value: `{"space":"nb201","arch":[4,0,3,1,4,5]}`, class: ClassNotation, reason: "0 to 4", onlyDecoder: true},
		{name: "nb201 structure", value: `{"space":"nb201","arch":"((('none', 0),), (('none', 0), ('none', 0)), ())"}`, class: ClassNotation, onlyDecoder: true},
		{name: "nb301 other operations", value: `{"space":"nb301","arch":"` + strings.Replace(genotypeOfTwo("[2, 3, 4, 5]"), "dil_conv_3x3", "gat", 1) + `"}`, class: ClassUnknownOperation, reason: `operation 7 of normal, "gat", is none of space "nb301"; name a space of your own`, onlyDecoder: true},
		{name: "nb301 other concat", value: `{"space":"nb301","arch":"` + genotypeOfTwo("[4, 5]") + `"}`, class: ClassNotation, reason: "normal_concat is [4 5]", onlyDecoder: true},
		{name: "nb301 other length", value: `{"space":"nb301","arch":"` + strings.Replace(genotypeOfTwo("[2, 3]"), "('sep_conv_3x3', 1), ('skip_connect', 0), ", "", 1) + `"}`, class: ClassNotation, reason: "normal has 6 operations", onlyDecoder: true},
		{name: "Genotype of one cell for nb301", value: `{"space":"nb301","arch":"Genotype(normal=[('gat', 0), ('gat', 1)], normal_concat=range(2, 3))"}`, class: ClassUnknownOperation, reason: `"gat"`, onlyDecoder: true},
		{name: "Genotype cut", value: `{"space":"own","arch":"Genotype(normal=[('a', 0), ('b'"}`, class: ClassNotation, onlyDecoder: true},
		{name: "Genotype cut behind a pair", value: `{"space":"own","arch":"Genotype(normal=[('a', 0), ('b', 1), ('c', 2), ('d', 0)"}`, class: ClassNotation, reason: "cut off", onlyDecoder: true},
		{name: "Genotype cut within a second cell", value: `{"space":"own","arch":"Genotype(normal=[('a', 0), ('b', 1)], normal_concat=[2], reduce=[('a', 0), ('b', 1)"}`, class: ClassNotation, reason: "cut off", onlyDecoder: true},
		{name: "Genotype with a pair that is not closed", value: `{"space":"own","arch":"Genotype(normal=[('a', 0, ('b', 1)], normal_concat=[2])"}`, class: ClassNotation, onlyDecoder: true},
		{name: "node number at the limit of integers", value: `{"space":"own","edges":[[0,2147483647,"conv"]]}`, class: ClassTooLarge, onlyDecoder: true},
		{name: "Genotype of an odd cell", value: `{"space":"own","arch":"Genotype(normal=[('a', 0)], normal_concat=[2])"}`, class: ClassNotation, reason: "each state is the sum of two", onlyDecoder: true},
		{name: "Genotype that reads a later node", value: `{"space":"own","arch":"Genotype(normal=[('a', 0), ('b', 2)], normal_concat=[2])"}`, class: ClassNotation, reason: "reads from 2", onlyDecoder: true},
		{name: "Genotype of a huge range", value: `{"space":"own","arch":"Genotype(normal=[('a', 0), ('b', 1)], normal_concat=range(0, 99999999))"}`, class: ClassNotation, onlyDecoder: true},
		{name: "tnb101 digit", value: `{"space":"tnb101","arch":"64-41414-1_02_334"}`, class: ClassNotation, reason: "0 to 3", onlyDecoder: true},
		{name: "tnb101 skeleton", value: `{"space":"tnb101","arch":"64-415-1_02_333"}`, class: ClassNotation, reason: "1 to 4", onlyDecoder: true},
		{name: "nats-sss width", value: `{"space":"nats-sss","arch":"16:x"}`, class: ClassNotation, onlyDecoder: true},
		{name: "nbmacro length", value: `{"space":"nbmacro","arch":"0201210"}`, class: ClassNotation, reason: "8 digits", onlyDecoder: true},
		{name: "nbgraph notation", value: `{"space":"nbgraph","arch":"[[0,2,1,3],[\"gat\",\"gcn\",\"fc\",\"skip\"]]"}`, class: ClassNotation, onlyDecoder: true},
		{name: "nbnlp no node", value: `{"space":"nbnlp","arch":"{\"f\":{\"op\":\"linear\",\"input\":[\"g\"]}}"}`, class: ClassNotation, reason: `reads "g"`, onlyDecoder: true},
		{name: "nbnlp cycle", value: `{"space":"nbnlp","arch":"{\"f\":{\"op\":\"linear\",\"input\":[\"g\"]},\"g\":{\"op\":\"linear\",\"input\":[\"f\"]}}"}`, class: ClassCycle, onlyDecoder: true},
		{name: "micro small", value: `{"space":"micro","arch":"3|111|0"}`, class: ClassNotation, onlyDecoder: true},
	}
}

func manyProxies(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"p%d":%d,`, i, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

func TestCandidate(t *testing.T) {
	d := NewDecoder(Limits{})
	classes := map[string]bool{}
	for _, e := range candidateExamples() {
		t.Run(e.name, func(t *testing.T) {
			var c Candidates
			if r := d.Candidate(&c, []byte(`{"space":"dag",`+chain+`,"proxies":{"p":1}}`)); r != nil {
				t.Fatal(r)
			}
			before := shape(&c)
			r := d.Candidate(&c, []byte(e.value))
			checkRejection(t, e, r)
			if r != nil {
				classes[r.Class] = true
				if after := shape(&c); !reflect.DeepEqual(before, after) {
					t.Errorf("a rejection changed the columns from %v to %v", before, after)
				}
			} else {
				checkRow(t, d, &c, 1)
			}
		})
	}
	for _, class := range Classes {
		if !classes[class] && !slices.Contains([]string{ClassConflict, ClassTooManyNames, ClassUnreadable, ClassLost, ClassInternal}, class) {
			t.Errorf("no example of class %q", class)
		}
	}
}

func checkRejection(t *testing.T, e example, r *Rejection) {
	t.Helper()
	switch {
	case r == nil && e.class != "":
		t.Errorf("accepted, want class %q", e.class)
	case r != nil && r.Class != e.class:
		t.Errorf("class %q, want %q: %s", r.Class, e.class, r.Reason)
	case r != nil && !strings.Contains(r.Reason, e.reason):
		t.Errorf("reason %q does not mention %q", r.Reason, e.reason)
	case r != nil && len(r.Reason) > 700:
		t.Errorf("the reason has %d bytes", len(r.Reason))
	}
}

// shape returns the lengths of the decoder's columns.
func shape(c *Candidates) []int {
	n := []int{c.ID.Len(), len(c.Space), c.Arch.Len(), len(c.Architecture), len(c.Network), c.Meta.Len(), len(c.ProxyStart), len(c.ProxyName), len(c.ProxyValue)}
	for _, g := range []*Graphs{&c.Graphs, &c.Networks} {
		n = append(n, len(g.NodeStart), len(g.Ops), len(g.EdgeStart), len(g.Edges), len(g.Attributes), len(g.Names.Data))
	}
	return n
}

// checkRow checks the invariants of every accepted candidate.
func checkRow(t testing.TB, d *Decoder, c *Candidates, i int) {
	t.Helper()
	if got := []int{c.ID.Len(), len(c.Space), c.Arch.Len(), len(c.Architecture), len(c.Network), c.Meta.Len(), len(c.ProxyStart) - 1, c.Graphs.Len(), c.Networks.Len()}; slices.Min(got) != i+1 || slices.Max(got) != i+1 {
		t.Fatalf("the columns have %v rows, want %d", got, i+1)
	}
	for _, g := range []*Graphs{&c.Graphs, &c.Networks} {
		ops, edges := g.Graph(i)
		seen := map[[2]int32]bool{}
		for e := 0; e < len(edges); e += 2 {
			pair := [2]int32{edges[e], edges[e+1]}
			if seen[pair] || pair[0] < 0 || pair[0] >= pair[1] || int(pair[1]) >= len(ops) {
				t.Fatalf("edge %v of %d nodes is repeated, backwards or out of range", pair, len(ops))
			}
			seen[pair] = true
		}
	}
	ops, edges := c.Networks.Graph(i)
	if len(ops) == 0 {
		t.Fatal("a network without nodes")
	}
	space, _ := SpaceOf(Name(c.Space[i]))
	var in predecessors
	in.build(len(ops), edges)
	if d.ids.id(ops, &in, c.Networks.AttributesOf(i)) != c.Network[i] {
		t.Fatal("the network's id is another's")
	}
	if !anyRole(d, ops) { // without names, pruned graphs may have new sources
		return
	}
	if d.pruner.prune(&d.ids, space.null, ops, edges, &in, c.Networks.AttributesOf(i)) {
		t.Fatal("the network can be pruned again")
	}
}

func anyRole(d *Decoder, ops []Symbol) bool {
	var input, output bool
	for _, op := range ops {
		input = input || d.ids.operation(op).role == roleInput
		output = output || d.ids.operation(op).role == roleOutput
	}
	return input && output
}

func TestCandidateColumns(t *testing.T) {
	d := NewDecoder(Limits{})
	var c Candidates
	value := `{"id": [1, "a b"], "meta": {"k" : "v\" w"}, "proxies":{"a":1,"b":2,"a":3,"c":null}, "space":"dag",
		"ops":["output","late","input","early","dead"],"edges":[[2,3],[3,1],[1,0],[2,3],[4,1]],"arch":"x\ty"}`
	if r := d.Candidate(&c, []byte(value)); r != nil {
		t.Fatal(r)
	}
	ops, edges := c.Graphs.Graph(0)
	netOps, netEdges := c.Networks.Graph(0)
	proxies := map[string]float64{}
	for i, name := range c.ProxyName {
		proxies[Name(name)] = c.ProxyValue[i]
	}
	for _, x := range []struct{ what, got, want any }{
		{"id", string(c.ID.At(0)), `[1,"a b"]`},
		{"meta", string(c.Meta.At(0)), `{"k":"v\" w"}`},
		{"arch", string(c.Arch.At(0)), "x\ty"},
		{"space", Name(c.Space[0]), "dag"},
		{"proxies", proxies, map[string]float64{"a": 3, "b": 2}},
		{"ops", namesOf(ops), []string{"input", "early", "dead", "late", "output"}},
		{"edges", edges, []int32{0, 1, 1, 3, 3, 4, 2, 3}},
		{"network ops", namesOf(netOps), []string{"input", "early", "late", "output"}},
		{"network edges", netEdges, []int32{0, 1, 1, 2, 2, 3}},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
}

func namesOf(ops []Symbol) []string {
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = Name(op)
	}
	return names
}

func TestLimitsRaised(t *testing.T) {
	var c Candidates
	if r := NewDecoder(Limits{Nodes: 5000}).Candidate(&c, []byte(`{"space":"dag",`+nodes(5000)+`}`)); r != nil {
		t.Error(r)
	}
	if r := NewDecoder(Limits{Depth: 200}).Candidate(&c, []byte(`{"space":"dag",`+chain+`,"meta":`+strings.Repeat("[", 150)+strings.Repeat("]", 150)+`}`)); r != nil {
		t.Error(r)
	}
}

// A message that is refused must not fill the table of names.
func TestRejectionAddsNoNames(t *testing.T) {
	d := NewDecoder(Limits{})
	var c Candidates
	for _, value := range []string{
		`{"space":"nb201","ops":["a name only here 1"],"edges":[]}`,
		`{"space":"dag","ops":["a name only here 1"],"edges":[[0,0]]}`,
	} {
		if r := d.Candidate(&c, []byte(value)); r == nil {
			t.Error("accepted", value)
		}
	}
	if _, known := Lookup("a name only here 1"); known {
		t.Error("a refused message left a name")
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	d := NewDecoder(Limits{})
	var c Candidates
	value := []byte(`{"space":"nb201","id":7,` + nb201Arch + `,` + nb201Ops + `,` + nb201Edges + `,"proxies":{"synflow":46.36094,"nwot":738.2764},"meta":{"a":1}}`)
	got := testing.AllocsPerRun(200, func() {
		c.reset()
		if r := d.Candidate(&c, value); r != nil {
			t.Fatal(r)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations a candidate", got)
	}
}

// Reading a notation and hashing its graph allocate nothing either.
func TestNotationAllocatesNothing(t *testing.T) {
	for _, value := range []string{
		`{"space":"nb201",` + nb201Arch + `}`,
		`{"space":"micro","arch":"6|101001000001101|0102"}`,
		`{"space": "nb101", "arch": "7|0101000001001000011000000100000001000000010000000|11200"}`,
		`{"space": "nb301", "arch": "[[(0,4),(1,5),(2,1),(1,3),(1,0),(0,4),(2,5),(4,0)],[(0,0),(1,3),(1,5),(0,2),(0,2),(2,1),(3,1),(1,4)]]"}`,
		`{"space": "nbgraph", "arch": "[[0,0,0,0],[\"gat\",\"gat\",\"gat\",\"gat\"]]"}`,
		`{"space": "nbnlp", "arch": "{\"f\": {\"op\": \"linear\", \"input\": [\"x\", \"h_prev_0\"]}, \"h_new_0\": {\"op\": \"activation_tanh\", \"input\": [\"f\"]}}"}`,
	} {
		d, value := NewDecoder(Limits{}), []byte(value)
		var c Candidates
		if got := testing.AllocsPerRun(100, func() {
			c.reset()
			if r := d.Candidate(&c, value); r != nil {
				t.Fatal(string(value), r)
			}
		}); got != 0 {
			t.Errorf("%v allocations for %s", got, value)
		}
	}
}

// A row that names the proxies of the row before, and names that only seem to
// be the same.
func TestExpectedProxies(t *testing.T) {
	d := NewDecoder(Limits{})
	const graph = `{"space":"dag","ops":["input","output"],"edges":[[0,1]],"proxies":`
	for _, c := range []struct{ proxies, want string }{
		{`{"syn":1,"a\"b":2,"c\\d":3}`, `a"b=2 c\d=3 syn=1`},
		{`{"syn":1,"a\"b":2,"c\\d":3}`, `a"b=2 c\d=3 syn=1`},
		{`{"synflow":1}`, `synflow=1`},
		{`{"syn":4, "x":5}`, `syn=4 x=5`},
		{`{"syn": 4,"x" :5}`, `syn=4 x=5`},
		{`{"syn":4,"a"b":2}`, ``},
		{`{"syn":}`, ``},
		{`{"syn":null,"x":6}`, `x=6`},
		{`{"syn":1,"x":2,"syn":3}`, `syn=3 x=2`},
		{`{"syn":1,"first":2,"first":3,"second":4}`, `first=3 second=4 syn=1`},
		{`{"first":1,"x":2,"syn":3}`, `first=1 syn=3 x=2`},
		{`{"syn":1,"x":2,"syn":null}`, `x=2`},
		{`{"syn":null,"x":2,"syn":1}`, `syn=1 x=2`},
		{`{"syn":1,"x":2}`, `syn=1 x=2`},
	} {
		var got Candidates
		refused := d.Candidate(&got, []byte(graph+c.proxies+"}"))
		if c.want == "" {
			if refused == nil {
				t.Errorf("%s was accepted", c.proxies)
			}
			continue
		}
		if refused != nil {
			t.Errorf("%s: %v", c.proxies, refused)
			continue
		}
		var found []string
		got.Proxies(0, func(name Symbol, v float64) { found = append(found, fmt.Sprintf("%s=%v", Name(name), v)) })
		slices.Sort(found)
		if s := strings.Join(found, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.proxies, s, c.want)
		}
	}
}

// Names are expected in the order of earlier rows; in any order, and with white space
// anywhere, a row reads as encoding/json reads it.
func TestNamesInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	d := NewDecoder(Limits{})
	members := func(list []string) string {
		list = slices.Clone(list)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for i := range list {
			if r.IntN(4) == 0 {
				list[i] = strings.Replace(list[i], ":", []string{" :", ": ", " :\n"}[r.IntN(3)], 1)
			}
		}
		return "{" + strings.Join(list[:r.IntN(len(list)+1)], []string{",", ", "}[r.IntN(2)]) + "}"
	}
	read := 0
	for range 3000 {
		proxies := members([]string{`"a":1.5`, `"b":-2`, `"\u0063":3`, `"d\"":4`, `"a":5`, `"b":null`, `"é":7`})
		value := []byte(members([]string{`"space":"dag"`, chain, `"proxies":` + proxies, `"proxies":` + proxies, `"labels":{"a":1}`, `"":0`, `"meta":{"b":2}`, `"id":1`, `"m\u0065ta":7`}))
		compareWithOracle(t, d, value, false)
		compareWithOracle(t, d, value, true)
		var shared, fresh Candidates
		if refused := d.Candidate(&shared, value); refused != nil {
			continue
		}
		read++
		if refused := NewDecoder(Limits{}).Candidate(&fresh, value); refused != nil {
			t.Fatal(refused)
		}
		if !slices.Equal(shared.ProxyName, fresh.ProxyName) || !slices.Equal(shared.ProxyValue, fresh.ProxyValue) || shared.Architecture[0] != fresh.Architecture[0] {
			t.Fatalf("%s: %v %v, by a new decoder %v %v", value, namesOf(shared.ProxyName), shared.ProxyValue, namesOf(fresh.ProxyName), fresh.ProxyValue)
		}
	}
	if read < 300 {
		t.Errorf("only %d rows were accepted", read)
	}
}

// Fields builds the row that Candidate builds.
func TestFields(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	d := NewDecoder(Limits{})
	for i := range 20 {
		row := benchmarkRow(r, i)
		var ours, plain Candidates
		if refused := d.Candidate(&ours, row); refused != nil {
			t.Fatal(refused)
		}
		if err := d.plain(&plain, row); err != nil {
			t.Fatal(err)
		}
		if ours.Architecture[0] != plain.Architecture[0] || ours.Network[0] != plain.Network[0] || len(ours.ProxyName) != len(plain.ProxyName) || !slices.Equal(ours.Arch.Data, plain.Arch.Data) {
			t.Fatalf("row %d: %v, want %v", i, plain, ours)
		}
	}
	if refused := d.Fields(&Candidates{}, &Fields{Space: "dag", Ops: []string{"a"}, Edges: [][2]int32{{0, 1}}}); refused == nil || refused.Class != ClassEdgeRange {
		t.Errorf("an edge to nowhere: %v", refused)
	}
}
