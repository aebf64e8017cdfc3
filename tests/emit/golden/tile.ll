@shared$ = external addrspace(3) global [0 x i8], align 1024
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare void @llvm.nvvm.cp.async.cg.shared.global.16(ptr addrspace(3), ptr addrspace(1))
declare void @llvm.nvvm.cp.async.commit.group()
declare void @llvm.nvvm.cp.async.cg.shared.global.16.s(ptr addrspace(3), ptr addrspace(1), i32)
declare void @llvm.nvvm.cp.async.wait.group(i32)
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare float @llvm.fma.f32(float, float, float)

define ptx_kernel void @tile(ptr addrspace(1) noalias readonly %x, ptr addrspace(1) noalias readonly %w, ptr addrspace(1) noalias %y, i32 %n) nounwind "nvvm.reqntid"="64" "nvvm.minctasm"="2" {
entry:
  %tid = call range(i32 0, 64) i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %bid = call range(i32 0, 2147483647) i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %mine = shl i32 %tid, 4
  %block = mul i32 %bid, 1024
  %from = add i32 %block, %mine
  %xp$w = sext i32 %from to i64
  %xp = getelementptr i8, ptr addrspace(1) %x, i64 %xp$w
  %sp = getelementptr i8, ptr addrspace(3) @shared$, i32 %mine
  call void @llvm.nvvm.cp.async.cg.shared.global.16(ptr addrspace(3) %sp, ptr addrspace(1) %xp)
  call void @llvm.nvvm.cp.async.commit.group()
  %rest = sub i32 1024, %mine
  %some$c = icmp slt i32 16, %rest
  %some = select i1 %some$c, i32 16, i32 %rest
  %wp$w = sext i32 %mine to i64
  %wp = getelementptr i8, ptr addrspace(1) %w, i64 %wp$w
  %tp = getelementptr i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @shared$, i32 1024), i32 %mine
  call void @llvm.nvvm.cp.async.cg.shared.global.16.s(ptr addrspace(3) %tp, ptr addrspace(1) %wp, i32 %some)
  call void @llvm.nvvm.cp.async.commit.group()
  call void @llvm.nvvm.cp.async.wait.group(i32 0)
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  br label %k$head
k$head:
  %k = phi i32 [ 0, %entry ], [ %k$head$next, %k$head ]
  %a = phi float [ 0x0000000000000000, %entry ], [ %f, %k$head ]
  %k16 = shl i32 %k, 4
  %p = getelementptr i8, ptr addrspace(3) @shared$, i32 %k16
  %v = load <4 x float>, ptr addrspace(3) %p, align 16
  %q = getelementptr i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @shared$, i32 1024), i32 %k16
  %u = load float, ptr addrspace(3) %q, align 4
  %v0 = extractelement <4 x float> %v, i32 0
  %f = call float @llvm.fma.f32(float %v0, float %u, float %a)
  %k$head$next = add nsw i32 %k, 1
  %k$head$more = icmp slt i32 %k$head$next, 64
  br i1 %k$head$more, label %k$head, label %k$done
k$done:
  %inside = icmp slt i32 %tid, 48
  %ctaoffset = mul i32 %bid, 192
  %yo = shl i32 %tid, 2
  %yo2 = add i32 %yo, %ctaoffset
  %yp$w = sext i32 %yo2 to i64
  %yp = getelementptr i8, ptr addrspace(1) %y, i64 %yp$w
  br i1 %inside, label %if1$then, label %if1$end
if1$then:
  %old = load float, ptr addrspace(1) %yp, align 4
  %new = fadd float %old, %f
  store float %new, ptr addrspace(1) %yp, align 4
  br label %if1$end
if1$end:
  ret void
}

!0 = !{}
