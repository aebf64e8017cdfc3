declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
declare void @llvm.masked.store.v8f32.p0(<8 x float>, ptr, <8 x i1>)
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)

define void @dense(ptr noalias readonly %x, ptr noalias readonly %w, ptr noalias %y, i64 %H, i64 %oh.begin, i64 %oh.end) nounwind {
entry:
  %scratch = alloca [64 x i8], align 64
  %oh$head$any = icmp slt i64 %oh.begin, %oh.end
  br i1 %oh$head$any, label %oh$head, label %oh$done
oh$head:
  %oh = phi i64 [ %oh.begin, %entry ], [ %oh$head$next, %if1$end ]
  %.1 = mul i64 %oh, 64
  %xp = getelementptr i8, ptr %x, i64 %.1
  br label %c$head
c$head:
  %c = phi i64 [ 0, %oh$head ], [ %c$head$next, %c$head ]
  %a = phi <8 x float> [ splat (float 0x0000000000000000), %oh$head ], [ %f, %c$head ]
  %.2 = mul i64 %c, 4
  %.3 = getelementptr i8, ptr %xp, i64 %.2
  %.4 = load float, ptr %.3, align 4
  %.5$i = insertelement <8 x float> poison, float %.4, i32 0
  %.5 = shufflevector <8 x float> %.5$i, <8 x float> poison, <8 x i32> zeroinitializer
  %.6 = mul i64 %c, 32
  %.7 = getelementptr i8, ptr %w, i64 %.6
  %.8 = load <8 x float>, ptr %.7, align 4
  %f = call <8 x float> @llvm.fma.v8f32(<8 x float> %.5, <8 x float> %.8, <8 x float> %a)
  %c$head$next = add nsw i64 %c, 1
  %c$head$more = icmp slt i64 %c$head$next, 16
  br i1 %c$head$more, label %c$head, label %c$done
c$done:
  %.9$c = fcmp olt <8 x float> %f, splat (float 0x0000000000000000)
  %.9 = select <8 x i1> %.9$c, <8 x float> splat (float 0x0000000000000000), <8 x float> %f
  %inside = icmp ult i64 %oh, %H
  br i1 %inside, label %if1$then, label %if1$end
if1$then:
  %.10 = mul i64 %oh, 32
  %.11 = getelementptr i8, ptr %y, i64 %.10
  %mask$f = insertelement <8 x i64> poison, i64 0, i32 0
  %mask$g = shufflevector <8 x i64> %mask$f, <8 x i64> poison, <8 x i32> zeroinitializer
  %mask$s = add <8 x i64> %mask$g, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7>
  %mask$h = insertelement <8 x i64> poison, i64 %H, i32 0
  %mask$k = shufflevector <8 x i64> %mask$h, <8 x i64> poison, <8 x i32> zeroinitializer
  %mask = icmp ult <8 x i64> %mask$s, %mask$k
  call void @llvm.masked.store.v8f32.p0(<8 x float> %.9, ptr align 4 %.11, <8 x i1> %mask)
  br label %if1$end
if1$end:
  call void @llvm.prefetch.p0(ptr %xp, i32 0, i32 3, i32 1)
  %oh$head$next = add nsw i64 %oh, 1
  %oh$head$more = icmp slt i64 %oh$head$next, %oh.end
  br i1 %oh$head$more, label %oh$head, label %oh$done
oh$done:
  ret void
}
