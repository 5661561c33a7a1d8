# SPDX-License-Identifier: MIT
#
# sluice_add_proto(<name> <file.proto>): a library of what protoc and gRPC's plugin make of a file, where they are installed.

function(sluice_add_proto name file)
    find_program(PROTOC protoc)
    find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin)
    mark_as_advanced(PROTOC GRPC_CPP_PLUGIN)
    if(NOT TARGET sluice::grpc OR NOT PROTOC OR NOT GRPC_CPP_PLUGIN)
        message(STATUS "${name} is left out: it needs gRPC, protoc and grpc_cpp_plugin")
        return()
    endif()
    get_filename_component(base "${file}" NAME_WE)
    get_filename_component(folder "${file}" DIRECTORY)
    set(out "${CMAKE_CURRENT_BINARY_DIR}/proto/${name}")
    file(MAKE_DIRECTORY "${out}")
    set(sources "${out}/${base}.pb.cc" "${out}/${base}.grpc.pb.cc")
    add_custom_command(OUTPUT ${sources} "${out}/${base}.pb.h" "${out}/${base}.grpc.pb.h" DEPENDS "${file}"
                       COMMAND "${PROTOC}" "-I${folder}" "--cpp_out=${out}" "--grpc_out=${out}"
                               "--plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN}" "${file}" VERBATIM)
    add_library(${name} STATIC ${sources})
    target_compile_options(${name} PRIVATE -w -O0)
    target_include_directories(${name} SYSTEM PUBLIC "${out}")
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
endfunction()
